"""Colors for labels and groups: a fixed table, distinguishable for most people."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

PALETTE: UInt8[np.ndarray, "256 3"] = np.frombuffer(
    # Made by scripts/make_palette.py. Sixteen colors a line.
    bytes.fromhex(
        "26262af84e676d96ffeeda008126e000d6aad36fb4852c0e7dfcff3b488ed3ffad309000b8b8ffc3962db400782d8796"
        "3c5a2dffb496005af0a5695affe1ff2dff781ec300b45aff875aa5ff87ffd200001ec3f069a578a5c33c782d78b4d2b4"
        "c39696ff781e8778008787b4d22db4ff87a5c3ff00ffb4f04b2dc34b78d2ffa500a50fb4b487f0c34b78785a3c006978"
        "d25a007869ff0fa5c3ffe1b478a500963c5a78f0b4f05ae100783c695a78ff4ba57800a5a5b48796e10096a5d2a54b00"
        "3ce1f00096695a785a00e169b4e1ffd296d2b45ac3e1c369e17869e1005aa5875a5ac3690069b4004bc3694bc378c3c3"
        "b4003cc3e187ff4b00a56996f096780087ff96005ac3f0d2964bd2e1b4c35a6900963c875a4bf0a5ff8700b4a5fff069"
        "78b4ff87d2879678d2694b965a69a5c37800e1a5ff960087d25a5ab487b4f01e2d00a5f0d21e87694b00b44b4bd2b496"
        "1ea54bd2b40087d2ff5a873cf078d296963c6996a5a5690fd24be1c37887a51e00e178ff7869d2783c4bffc3d200ffe1"
        "f06996ffd269c3d200b43c96ff96d24b69f0e1a55a690fc369d2001eb478e14b87e1d2a5872db40069002df096007869"
        "965a690087c35a96d29678ff69789687e1d2e1d2ffa5a5003c3ce1005a874b968769c396d2f05ab43cd296ffd2e1871e"
        "78875ac3785a00d2d2a5a5ff69b4d2c3966987b469961e3cff7878c369e1e14bb400694b4b5ab4e187961e78a5f0c300"
        "5a3ca5876987ffa5b496e169b4c378c35aa5c32d5a874bf078691e8796e169962da54b78a5c3e14b698778d2b45a87b4"
        "d23c3c87ff4bc3a5c33cb43c4b694b5a4b69874b00874b4bffa569f02d966987e187694b2d69d269ffa578b4a5874b78"
        "a57887a5a55ac33c0078d25ab45a2df0693c00a587a53cb49669b496784b1e8778782d96c30096b4b44b87b42db478c3"
        "3c5a968796697878c300a50078a5b41e873ca569e1a5f05ab4d269d287b40f4ba5b42d2dffd2c3ff69b43cc3b40f7887"
        "0f6996e1ff4bc378ff872d5a0f5a694ba5a5963c1eb4a5e1b487785ae1a5d2a5a5f0f0a5e13c5a962dd2d287e1d2b4e1"
    ),
    dtype=np.uint8,
).reshape(256, 3)
"""RGB, 0 to 255, all different; read-only.

The first is a dark gray for the background. It and the following twelve can also be distinguished
with any kind of color blindness.
"""


def colors(count: int, *, background: bool) -> UInt8[np.ndarray, "count 3"]:
    """First colors of the palette, RGB, 0 to 255.

    Beyond 255 labels the colors repeat, without the dark gray.

    Args:
        count: Number of colors, at least 0.
        background: Begin with the dark gray.
    """
    cycle = np.arange(count - background) % 255 + 1
    indices = np.concatenate([np.zeros(int(background), int), cycle])[:count]
    return PALETTE.take(indices, axis=0)


def text_color(rgb: Sequence[int] | UInt8[np.ndarray, "3"]) -> tuple[int, int, int]:
    """Black or white, whichever has the higher contrast (WCAG) with a color.

    Args:
        rgb: Color behind the text, 0 to 255.
    """
    value = np.asarray(rgb, dtype=np.float64) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ (0.2126, 0.7152, 0.0722))
    # Contrast is (lighter + 0.05) / (darker + 0.05); both are equal at this luminance.
    return (0, 0, 0) if luminance > (1.05 * 0.05) ** 0.5 - 0.05 else (255, 255, 255)
