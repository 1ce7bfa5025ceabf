"""PNG files without the metadata that Pillow refuses whole images for."""

import io
import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST_TEXT = 1 << 20
"""Size of a text that Pillow reads, decompressed [bytes]."""
_KEPT_TEXTS = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0", b"Raw profile type APP1\0")
"""Keywords of texts that may hold the orientation."""


def without_metadata(file: io.BytesIO | io.BufferedReader) -> io.BytesIO | io.BufferedReader:
    """The file, or a copy without texts and a large color profile if it is a PNG that has some.

    Of the texts those are kept that may hold the orientation, unless they are too large. Pillow
    calls an image damaged whose profile or text has more than 1 MB. Other files come back as they
    are, at their beginning.
    """
    file.seek(0)
    parts = [file.read(len(SIGNATURE))]
    is_changed = False
    while parts[0] == SIGNATURE and len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        body = file.read(length + 4)
        if _is_dropped(kind, body[:-4]):
            is_changed = True
        else:
            parts += [head, body]
        if kind == b"IEND" or len(body) < length + 4:
            break
    file.seek(0)
    return io.BytesIO(b"".join(parts)) if is_changed else file


def _is_dropped(kind: bytes, body: bytes) -> bool:
    if kind == b"iCCP":
        return _is_large(kind, body)
    if kind not in (b"tEXt", b"zTXt", b"iTXt"):
        return False
    return not body.startswith(_KEPT_TEXTS) or _is_large(kind, body)


def _is_large(kind: bytes, body: bytes) -> bool:
    if len(body) > LARGEST_TEXT:
        return True
    start = body.find(b"\0") + 2
    if kind == b"iTXt" and body[start - 1 : start] == b"\1":
        # Compression flag and method, language, and translated keyword stand before the text.
        start = body.find(b"\0", body.find(b"\0", start + 1) + 1) + 1
    elif kind not in (b"zTXt", b"iCCP"):
        return False
    decompressor = zlib.decompressobj()
    try:
        decompressor.decompress(body[start:], LARGEST_TEXT)
    except zlib.error:
        return True
    return bool(decompressor.unconsumed_tail)
