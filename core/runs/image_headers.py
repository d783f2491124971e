"""What kind of image some bytes are and how large it will be, read from the first bytes only."""

from __future__ import annotations

from dataclasses import dataclass

_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # the "start of frame" markers
_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """The MIME type, and the size in pixels where the header tells it."""

    mime: str
    width: int | None = None
    height: int | None = None


def image_header(data: bytes) -> ImageHeader | None:
    """Recognise PNG, JPEG, GIF, WebP and BMP by their magic bytes; None for anything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _sized("image/png", data, 16, 20, 4, "big") if data[12:16] == b"IHDR" else ImageHeader("image/png")
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data.startswith((b"GIF87a", b"GIF89a")):
        return _sized("image/gif", data, 6, 8, 2, "little")
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    # BM alone begins many texts, so the header's own length has to be a known one too.
    if data.startswith(b"BM") and len(data) >= 26 and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return _bmp(data)
    return None


def _sized(mime: str, data: bytes, at: int, then: int, length: int, order: str) -> ImageHeader:
    if len(data) < then + length:
        return ImageHeader(mime)
    little = order == "little"
    width, height = data[at : at + length], data[then : then + length]
    if little:
        width, height = width[::-1], height[::-1]
    return ImageHeader(mime, int.from_bytes(width, "big"), int.from_bytes(height, "big"))
