"""How bright a colour is."""

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601, as in JPEG and in OpenCV's grey
