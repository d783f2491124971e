"""What kind of image some bytes are and how large it will be, read from its header only."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """The MIME type, and the size in pixels where the header tells it."""

    mime: str
    width: int | None = None
    height: int | None = None


def image_header(data: bytes) -> ImageHeader | None:
    """Recognise PNG, JPEG, GIF, WebP and BMP by their magic bytes; None for everything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _header("image/png", ">II", data, 16)
    if data.startswith((b"GIF87a", b"GIF89a")):
        return _header("image/gif", "<HH", data, 6)
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    # Texts begin with BM as well, so the length of the second header has to be one that exists.
    if data.startswith(b"BM") and len(data) >= 26 and data[14] in _BMP_HEADERS and not any(data[15:18]):
        return _header("image/bmp", "<HH" if data[14] == 12 else "<ii", data, 18)
    return None


def _header(mime: str, layout: str, data: bytes, at: int) -> ImageHeader:
    if len(data) < at + struct.calcsize(layout):
        return ImageHeader(mime)
    width, height = struct.unpack_from(layout, data, at)
    return ImageHeader(mime, abs(width), abs(height))  # a BMP stored top-down has a negative height


def _jpeg(data: bytes) -> ImageHeader:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return ImageHeader("image/jpeg", width, height)
        if marker == 0xFF:
            at += 1
        elif marker in _JPEG_WITHOUT_LENGTH:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return ImageHeader("image/jpeg")


def _webp(data: bytes) -> ImageHeader:
    kind, mime = data[12:16], "image/webp"
    if kind == b"VP8X" and len(data) >= 30:
        sides = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        return ImageHeader(mime, *sides)
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return ImageHeader(mime, (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8 " and len(data) >= 30:
        width, height = struct.unpack_from("<HH", data, 26)
        return ImageHeader(mime, width & 0x3FFF, height & 0x3FFF)
    return ImageHeader(mime)
