"""Damage inside a JPEG that decoders pass over: libjpeg warns of it, and makes up the rest of the picture."""

import simplejpeg


def scan_damage(data: bytes) -> str | None:
    """Returns what is wrong with the compressed pixels of a JPEG, as libjpeg says it; None: nothing that it can find.

    A scan that was cut is found, whatever was appended to it. Of changed bits those are found after which the data
    cannot be read to the end; what still reads as pixels, if as others, cannot be known from the file alone.

    Args:
        data: A whole file, which can be decoded; of another format nothing is found.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    try:
        *_, colour_space, _ = simplejpeg.decode_jpeg_header(data)
        # As small as may be: all of the data is read, few pixels are computed.
        space = "CMYK" if colour_space in ("CMYK", "YCCK") else "GRAY"
        simplejpeg.decode_jpeg(data, space, min_height=1, min_width=1)
    except ValueError as error:
        return " ".join(str(error).split())
    return None
