"""What an encoded JPEG or PNG says of itself, read without decoding a pixel."""

import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from keras_face.photos.limit import max_pixels

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_START_OF_FRAME = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive; the others cannot be decoded everywhere
_OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_PROGRESSIVE = 0xC2
_START_OF_SCAN = 0xDA
_APP1 = 0xE1
_END_OF_JPEG = re.compile(b"\xff\xd9")  # twice as fast as bytes.find
_END_OF_PNG = b"\0\0\0\0IEND\xaeB`\x82"
_EXIF = b"Exif\0\0"
_ORIENTATION = 274  # the tag of EXIF and TIFF
_PLAIN_COLOURS = (0, 2, 3)  # of a PNG: grey, RGB, palette; 4 and 6 have alpha
# Text of a PNG in which other programs than ours look for an orientation.
_TELLING_TEXT = (b"Raw profile type exif", b"Raw profile type APP1", b"XML:com.adobe.xmp")


class _Jpeg(NamedTuple):
    size: tuple[int, int]  # height, width, as it is stored
    ordinary: bool  # a frame of 8 bits, grey or of three channels, that every decoder takes
    upright: bool  # nothing says that it is to be turned
    scan: int  # where the entropy-coded data's header begins
    least_bits: int  # that its pixels take at least, 0 where that is not known


def is_photo(image_bytes: bytes) -> bool:
    """Returns whether the bytes begin as a JPEG or a PNG file does."""
    return image_bytes.startswith((_JPEG, _PNG))


def is_plain(data: bytes) -> bool:
    """Returns whether the training decoder takes a file as `files.read_photo` does, going by its header alone.

    It does so where a JPEG or PNG has 8 bits (PNG: or 16), grey or colour, no alpha, is not to be turned, and has no
    more than `max_pixels`. False says that it may differ.
    """
    try:
        if data.startswith(_JPEG):
            jpeg = _jpeg(data)
            return jpeg.ordinary and jpeg.upright and _allowed(jpeg.size) and not _is_short(jpeg, len(data))
        return _allowed(_png_size(data)) and _png_is_plain(data)
    except (ValueError, IndexError, struct.error):
        return False


def whole_size(data: bytes) -> tuple[int, int] | None:
    """Returns the (height, width) of a plain JPEG or PNG file that is whole; None if only decoding can tell.

    Whole: its segments or chunks follow each other without a gap to the end of the image, and the checksums of a PNG
    are right. What a JPEG says between is not looked at, but for its length: it must be enough for as many pixels.
    Plain: see `is_plain`.

    Args:
        data: All bytes of the file.
    """
    try:
        if data.startswith(_JPEG):
            jpeg = _jpeg(data)
            good = jpeg.ordinary and jpeg.upright and _is_whole_jpeg(data, jpeg)
            size = jpeg.size
        else:
            size = _png_size(data)
            good = _png_is_plain(data) and _is_whole_png(data)
    except (ValueError, IndexError, struct.error):  # it ends within a header
        return None
    return size if good and _allowed(size) else None


def is_short(data: bytes) -> bool:
    """Returns whether a JPEG file has fewer bits than its pixels take at least; decoders make grey of what lacks."""
    try:
        return data.startswith(_JPEG) and _is_short(_jpeg(data), len(data))
    except (ValueError, IndexError, struct.error):
        return False


def _is_short(jpeg: _Jpeg, end: int) -> bool:
    return 8 * (end - jpeg.scan) < jpeg.least_bits


def orientation(data: bytes) -> int:
    """Returns the EXIF orientation of a JPEG or PNG file, 1 to 8; 1 where it says none, or none that can be read."""
    try:
        if data.startswith(_JPEG):
            blocks = [body for marker, body in _segments(data) if marker == _APP1]
        else:
            blocks = [data[start:end] for kind, start, end in _chunks(data) if kind == b"eXIf"]
        return next((found for block in blocks if (found := _exif_orientation(block)) is not None), 1)
    except (ValueError, IndexError, struct.error):
        return 1


def _allowed(size: tuple[int, int]) -> bool:
    return 0 < size[0] * size[1] <= max_pixels()


def _jpeg(data: bytes) -> _Jpeg:
    """Returns what stands before the first scan; ValueError, IndexError or struct.error if that is damaged."""
    frame, upright, progressive = -1, True, False
    ordinary = False
    position = 2
    while True:
        if data[position] != 0xFF:
            raise ValueError("a gap between segments")
        marker = data[position + 1]
        if marker == 0xFF:  # padding
            position += 1
            continue
        if marker == _START_OF_SCAN:
            break
        if marker in _START_OF_FRAME or marker in _OTHER_FRAMES:
            frame, progressive = position + 4, marker == _PROGRESSIVE
            ordinary = marker in _START_OF_FRAME
        elif marker < 0xC0 or 0xD0 <= marker <= 0xD9:  # none of these belongs here
            raise ValueError("a marker out of place")
        length = 2 + (data[position + 2] << 8 | data[position + 3])
        if marker == _APP1 and upright:
            upright = _says_upright(data[position + 4 : position + length])
        position += length
    if frame < 0:
        raise ValueError("no frame")
    precision, height, width, channels = struct.unpack_from(">BHHB", data, frame)
    huffman = ordinary
    ordinary = ordinary and precision == 8 and channels in (1, 3)
    # Each block of 8 x 8 of the first channel takes a code, and another for its end if it is not coded in passes.
    sampling = data[frame + 7 : frame + 6 + 3 * channels : 3]
    across, down = sampling[0] >> 4, sampling[0] & 15
    most_across, most_down = max(s >> 4 for s in sampling), max(s & 15 for s in sampling)
    blocks = (height * down // most_down // 8) * (width * across // most_across // 8) if most_across * most_down else 0
    least_bits = 0 if not huffman else blocks if progressive else 2 * blocks
    return _Jpeg((height, width), ordinary, upright, position, least_bits)


def _is_whole_jpeg(data: bytes, jpeg: _Jpeg) -> bool:
    # Within a scan, FF is followed by 00: FF D9 ends the last one, or stands in an appendix, which decoding must tell.
    end = _END_OF_JPEG.search(data, jpeg.scan)
    return end is not None and 8 * (end.start() - jpeg.scan) >= jpeg.least_bits and not data[end.end() :].strip(b"\0")


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields marker and body of a JPEG's segments before its first scan."""
    position = 2
    while (marker := data[position + 1]) != _START_OF_SCAN:
        if marker == 0xFF:
            position += 1
            continue
        length = struct.unpack_from(">H", data, position + 2)[0]
        yield marker, data[position + 4 : position + 2 + length]
        position += 2 + length


def _png_size(data: bytes) -> tuple[int, int]:
    if not data.startswith(_PNG) or data[12:16] != b"IHDR":
        raise ValueError("no PNG")
    width, height = struct.unpack_from(">II", data, 16)
    return height, width


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yields name, start and end of the chunks of a PNG."""
    position = len(_PNG)
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        yield kind, position + 8, position + 8 + length
        position += 12 + length


def _png_is_plain(data: bytes) -> bool:
    if data[25] not in _PLAIN_COLOURS:
        return False
    for kind, start, end in _chunks(data):
        if kind == b"tRNS" or (kind == b"eXIf" and not _says_upright(data[start:end], exif=True)):
            return False
        if kind in (b"tEXt", b"zTXt", b"iTXt") and data.startswith(_TELLING_TEXT, start, end):
            return False
    return True


def _is_whole_png(data: bytes) -> bool:
    if not data.endswith(_END_OF_PNG):
        return False
    for _, start, end in _chunks(data):
        (checksum,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(data[start - 4 : end]) != checksum:
            return False
    return True


def _says_upright(block: bytes, exif: bool = False) -> bool:
    """Returns whether a block of metadata says nothing of turning; False where it cannot be read."""
    if not exif and not block.startswith(_EXIF):
        return b"tiff:Orientation" not in block  # XMP, which Pillow goes by where EXIF says nothing
    try:
        return _exif_orientation(block) in (None, 1)
    except struct.error:
        return False


def _exif_orientation(block: bytes) -> int | None:
    """Returns the orientation in a block of EXIF; None if it is no such block, or says none; struct.error if cut."""
    tiff = block.removeprefix(_EXIF)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return None
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, directory)
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
        if tag == _ORIENTATION:
            return value if 1 <= value <= 8 else 1
    return None
