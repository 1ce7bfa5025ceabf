"""Small color profiles: primaries and a gamma, as an ICC file of version 2 stores them."""

import struct

ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
"""Red, green and blue of Adobe RGB (1998) as XYZ, adapted to D50."""
WHITE = (0.9642, 1.0, 0.8249)


def _xyz(values):
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def profile(space=b"RGB ", primaries=ADOBE, gamma=2.19921875):
    """Profile of a display (or of gray), with one gamma for all channels."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = b"test\0"
    description = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + b"\0" * 79
    tags = {b"desc": description, b"cprt": b"text\0\0\0\0" + text, b"wtpt": _xyz(WHITE)}
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        for name, value in zip((b"r", b"g", b"b"), primaries, strict=True):
            tags |= {name + b"XYZ": _xyz(value), name + b"TRC": curve}
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        padded = data + b"\0" * (-len(data) % 4)
        table += name + struct.pack(">II", start + len(body), len(data))
        body += padded
    header = bytearray(128)
    struct.pack_into(
        ">I4sI4s4s4s", header, 0, start + len(body), b"\0" * 4, 0x02100000, b"mntr", space, b"XYZ "
    )
    header[36:40] = b"acsp"
    struct.pack_into(">3i", header, 68, *(round(value * 65536) for value in WHITE))
    return bytes(header) + struct.pack(">I", len(tags)) + table + body
