"""What a command that writes a dataset did, and what it left out."""

import dataclasses
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from keras_face import files

_MOST_REASONS = 20

Skipped = Sequence[tuple[str, str]]  # name and reason of each file, folder or person left out


@dataclasses.dataclass(frozen=True)
class Summary:
    """What became of photos, as text for whoever ran the command and as numbers.

    Its text is `told` and below it the reasons for leaving something out, each with its number, the most common first.

    Args:
        told: What was done, one or more lines.
        counts: The numbers in it, by name: people, photos and so on.
        skipped: Name and reason of each file, folder or person left out.
    """

    told: str
    counts: Mapping[str, int]
    skipped: Skipped = ()

    def __str__(self) -> str:
        reasons = Counter(reason for _, reason in self.skipped)
        lines = [self.told, *(f"{count:>9,}  {reason}" for reason, count in reasons.most_common(_MOST_REASONS))]
        if len(reasons) > _MOST_REASONS:
            lines.append(f"{'':>9}  and {len(reasons) - _MOST_REASONS:,} other reasons")
        return "\n".join(lines)


def write_skipped(folder: str | os.PathLike, skipped: Skipped) -> None:
    """Writes `skipped.csv` into a folder of what a command made."""
    files.write_csv(Path(folder, "skipped.csv"), ("name", "reason"), skipped)
