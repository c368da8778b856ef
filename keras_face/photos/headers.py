"""What an encoded image says of itself, read without decoding a pixel."""

import re
import struct
import zlib

_START_OF_FRAME = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive; the others cannot be decoded everywhere
_START_OF_SCAN = 0xDA
_END_OF_JPEG = re.compile(b"\xff\xd9")  # twice as fast as bytes.find
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
# Above it only the decoder, which refuses an image that would not fit into memory, shall say what it is.
_MOST_PIXELS = 2**26
_END_OF_PNG = b"\0\0\0\0IEND\xaeB`\x82"


def is_photo(image_bytes: bytes) -> bool:
    """Returns whether the bytes begin as a JPEG or a PNG file does."""
    return image_bytes.startswith((_JPEG, _PNG))


def whole_size(data: bytes) -> tuple[int, int] | None:
    """Returns the (height, width) of an ordinary JPEG or PNG file that is whole; None if only decoding can tell.

    Whole: its segments or chunks follow each other without a gap to the end of the image, and the checksums of a PNG
    are right. What a JPEG says between is not looked at. Ordinary: 8 bits (PNG: or 16), grey or colour, not CMYK.

    Args:
        data: All bytes of the file.
    """
    try:
        size = _jpeg_size(data) if data.startswith(_JPEG) else _png_size(data)
    except (IndexError, struct.error):  # it ends within a header
        return None
    return size if size and 0 < size[0] * size[1] <= _MOST_PIXELS else None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    size = None
    position = 2
    while True:
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF:  # padding
            position += 1
            continue
        if marker in _START_OF_FRAME:
            precision, height, width, channels = struct.unpack_from(">BHHB", data, position + 4)
            if precision != 8 or channels not in (1, 3):
                return None
            size = height, width
        if marker == _START_OF_SCAN:
            break
        if marker < 0xC0 or 0xD0 <= marker <= 0xD9:  # none of these belongs here
            return None
        position += 2 + struct.unpack_from(">H", data, position + 2)[0]
    # Within a scan, FF is followed by 00: FF D9 ends the last one, or stands in an appendix, which decoding must tell.
    end = _END_OF_JPEG.search(data, position)
    return size if end and not data[end.end() :].strip(b"\0") else None


def _png_size(data: bytes) -> tuple[int, int] | None:
    if not data.startswith(_PNG) or not data.endswith(_END_OF_PNG):
        return None
    if data[12:16] != b"IHDR":
        return None
    width, height = struct.unpack_from(">II", data, 16)
    position = len(_PNG)
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        (checksum,) = struct.unpack_from(">I", data, position + 8 + length)
        if zlib.crc32(data[position + 4 : position + 8 + length]) != checksum:
            return None
        position += 12 + length
    return height, width
