"""Where one shot of a film ends and the next begins."""

import cv2
import numpy as np

CHANGE_OF_A_CUT = 0.35  # the three cuts of a real clip have more than 0.6, all its other frames less than 0.13
_OTHER_COLOURS = 40.0  # mean change of the sorted levels of red, green and blue that counts as much as a new layout
_FLAT = 2.0  # grey levels of contrast below which a picture has no layout to speak of


class Cuts:
    """Says of each frame of a film, shown one after the other, whether a new shot begins with it.

    The change from a frame to the next is half of one minus the correlation of the two, small and blurred, plus how far
    the levels of their colours are apart (earth mover's distance), a fortieth for each level. A moving camera leaves
    the colours, a change of exposure the layout. A flash counts as a cut, and ends tracks too early, which costs
    little; a slow dissolve does not, and is left to the similarity of the faces.

    Args:
        threshold: Change from which on a new shot begins.

    Call arguments:
        frame: uint8 RGB [height, width, 3].

    Returns: Whether a shot begins; False for the first frame.
    """

    def __init__(self, threshold: float = CHANGE_OF_A_CUT):
        self.threshold = threshold
        self._last: tuple[tuple[int, ...], np.ndarray, np.ndarray] | None = None

    def __call__(self, frame: np.ndarray) -> bool:
        small = cv2.resize(frame, (128, 72), interpolation=cv2.INTER_AREA)
        levels = np.sort(small.reshape(-1, 3), axis=0)[::32].astype(np.float64)
        grey = cv2.cvtColor(cv2.resize(small, (32, 18), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        layout = cv2.GaussianBlur(grey.astype(np.float64), (0, 0), 1).ravel()
        layout -= layout.mean()
        last, self._last = self._last, (frame.shape, levels, layout)
        if last is None:
            return False
        shape, last_levels, last_layout = last
        if shape != frame.shape:  # boxes in frames of different sizes cannot be compared
            return True
        # What both pictures are given in common lets two flat ones be alike, and a flat one unlike all others.
        common = layout.size * _FLAT**2
        sizes = (layout @ layout + common) * (last_layout @ last_layout + common)
        correlation = (layout @ last_layout + common) / np.sqrt(sizes)
        change = (1 - correlation) / 2 + np.abs(levels - last_levels).mean() / _OTHER_COLOURS
        return bool(change >= self.threshold)
