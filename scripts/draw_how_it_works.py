"""Draw the pictures of docs/how-it-works.md.

python scripts/draw_how_it_works.py
"""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageDraw
from torch.nn import functional as F

from groupvit import Segmenter, visualization
from groupvit.palette import colors
from groupvit.segmentation.groups import GroupedImage
from groupvit.visualization.fonts import font

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
PHOTOGRAPH = ROOT / "src/groupvit/photographs/cat.jpg"
SCENE = ROOT / "examples/scene.png"
LABELS = ("cat", "blanket", "wall", "grass")
SHOWN = 3
"""Number of groups whose soft maps are drawn."""
WIDTH, HEIGHT, BAR = 340, 210, 34
"""Size of a drawing of bars, and width of a bar [pixels]."""


def soft_map(grouped: GroupedImage, stage: int, group: int) -> Image.Image:
    """Share of every patch in a group, [0, 1]: dark to bright, over the gray image."""
    [window] = grouped.windows
    share = window.patch_assignment(stage)[group].reshape(1, 1, *window.grid).cpu()
    large = F.interpolate(share, grouped.size, mode="bilinear")[0, 0].clamp(0, 1).numpy()
    gray = np.asarray(Image.fromarray(grouped.image).convert("L"), dtype=np.float64)[..., None]
    bright = large[..., None] * np.array([255.0, 190.0, 40.0]) + (1 - large[..., None]) * 40
    return Image.fromarray((0.35 * gray + 0.65 * bright).astype(np.uint8))


def stages() -> Image.Image:
    """The photograph, its groups at both stages, and its labels."""
    result = Segmenter.load()(PHOTOGRAPH, LABELS)
    panels = [*result.groups.panels(), ("labels", result.to_overlay())]
    return visualization.side_by_side(panels, columns=4)


def soft_maps() -> Image.Image:
    """Soft maps of the largest groups of the last stage of `storybook`, whose grouping is soft."""
    [grouped] = Segmenter.load("storybook", protocol="quick").group([SCENE])
    stage = grouped.num_stages - 1
    sizes = np.bincount(grouped.group_map(stage).ravel(), minlength=grouped.num_groups(stage))
    largest = np.argsort(-sizes, kind="stable")[:SHOWN].tolist()
    panels = [("image", Image.fromarray(grouped.image))]
    panels += [(f"share in group {group}", soft_map(grouped, stage, group)) for group in largest]
    return visualization.side_by_side(panels, columns=4)


def bars(values: Float[torch.Tensor, " group"]) -> Image.Image:
    """Bars of the shares of one patch in eight groups."""
    canvas = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw, palette = ImageDraw.Draw(canvas), colors(len(values), background=False)
    for index, value in enumerate(values.tolist()):
        left, bottom = 15 + index * (BAR + 5), HEIGHT - 24
        top = bottom - value * (HEIGHT - 60)
        draw.rectangle((left, top, left + BAR, bottom), fill=tuple(palette[index].tolist()))
        middle = left + BAR / 2
        draw.text((middle, top - 9), f"{value:.2f}", fill="black", font=font(13), anchor="mm")
        draw.text((middle, bottom + 12), str(index), fill="black", font=font(13), anchor="mm")
    return canvas


def gumbel() -> Image.Image:
    """Softmax of eight logits, two draws with Gumbel noise, and the hard assignment of the last."""
    generator = torch.Generator().manual_seed(11)
    logits = torch.tensor([2.0, 1.6, 0.4, 0.0, -0.5, -0.8, -1.2, -2.0])
    panels = [("softmax of the logits", bars(logits.softmax(dim=0)))]
    for draw in (1, 2):
        noise = -torch.empty(8).exponential_(generator=generator).log()
        soft = (logits + noise).softmax(dim=0)
        panels.append((f"with Gumbel noise, draw {draw}", bars(soft)))
    hard = F.one_hot(soft.argmax(), 8).float()
    panels.append(("hard: all of draw 2", bars(hard)))
    return visualization.side_by_side(panels, columns=4)


def main(out: Path = IMAGES) -> None:
    """Draw and save them."""
    for name, drawn in {
        "how-stages.jpg": stages(),
        "how-soft.jpg": soft_maps(),
        "how-gumbel.png": gumbel(),
    }.items():
        drawn.thumbnail((1600, 1600))
        drawn.save(out / name, quality=88, optimize=True)


if __name__ == "__main__":
    main()
