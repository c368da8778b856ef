"""What is wrong, how badly, where, and the command that mends it; and the lists that such commands work from."""

import csv
import dataclasses
import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_face import files

ERROR, WARNING, NOTE = "error", "warning", "note"
DROP, LOOK, MOVE = "drop", "look", "move to "
_COLUMNS = ("name", "identity", "finding", "angle", "suggestion")
_NUM_NAMED = 5
FINDINGS = "findings.json"


@dataclasses.dataclass(frozen=True)
class Entry:
    """A line of a list: a photo, or all photos of an identity, and what is suggested for it.

    Args:
        name: Of the photo; empty: all photos of the identity.
        identity: Its label's name.
        finding: What is wrong.
        angle: What it was judged by, radians; None: no angle.
        suggestion: "drop", "move to NAME" (an identity, which may be new), or "look" (nothing is done).
    """

    name: str
    identity: str
    finding: str
    angle: float | None = None
    suggestion: str = DROP


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something that is wrong with a dataset.

    Args:
        severity: ERROR: it breaks training, or spoils it for certain; WARNING: it spoils training or measurement
            somewhat; NOTE: good to know.
        kind: Its name in files: letters and hyphens.
        what: A sentence.
        mend: The command that mends it; `{list}` in it becomes the path of the list.
        entries: Where; they become the list.
    """

    severity: str
    kind: str
    what: str
    mend: str
    entries: Sequence[Entry] = ()

    def where(self) -> str:
        """Returns the first places, for a message."""
        places = [files.printable(entry.name or entry.identity) for entry in self.entries]
        return ", ".join(places[:_NUM_NAMED]) + (
            f" and {len(places) - _NUM_NAMED:,} more" if places[_NUM_NAMED:] else ""
        )


@dataclasses.dataclass(frozen=True)
class Report:
    """All that was found, and the facts of each dataset.

    Args:
        facts: By the dataset's path; values for JSON.
        summary: Lines for a person to read.
        findings: The worst first.
    """

    facts: Mapping[str, Mapping[str, Any]]
    summary: Sequence[str]
    findings: Sequence[Finding]

    @property
    def status(self) -> int:
        """The exit status: 1 if there is an error or a warning, else 0."""
        return int(any(finding.severity != NOTE for finding in self.findings))


def write_report(report: Report, folder: Path) -> str:
    """Writes findings.json and the lists into a folder that exists, and returns the report as text."""
    counts: Counter[str] = Counter()
    lines, found = list(report.summary), []
    for finding in report.findings:
        counts[finding.kind] += 1
        number = f"-{counts[finding.kind]}" if counts[finding.kind] > 1 else ""
        path = folder / f"{finding.kind}{number}.csv"
        mend = finding.mend.replace("{list}", os.fspath(path))
        if finding.entries:
            write_list(path, finding.entries)
        lines += ["", f"{finding.severity:<8} {finding.kind}: {finding.what}"]
        if finding.entries:
            lines += [f"{'':<8} where: {finding.where()}", f"{'':<8} list:  {path}"]
        lines += [f"{'':<8} mend:  {mend}"]
        found.append(
            {
                "severity": finding.severity,
                "kind": finding.kind,
                "what": finding.what,
                "where": finding.where(),
                "number": len(finding.entries),
                "list": path.name if finding.entries else None,
                "mend": mend,
            }
        )
    severities = Counter(finding.severity for finding in report.findings)
    lines += ["", ", ".join(f"{severities[kind]} {kind}s" for kind in (ERROR, WARNING, NOTE)) + f"; see {folder}"]
    facts = {"status": report.status, "datasets": report.facts, "findings": found}
    files.write_text(folder / FINDINGS, json.dumps(facts, indent=2) + "\n")
    return "\n".join(lines)


def new_folder(path: str | os.PathLike) -> Path:
    """Empties the folder of a report, or makes it, and returns its path.

    Raises: ValueError if there is something else than an earlier report.
    """
    folder = Path(path)
    if folder.exists():
        if not folder.is_dir() or (any(folder.iterdir()) and not (folder / FINDINGS).is_file()):
            raise ValueError(f"output_dir must be new, empty or an earlier report, but {folder} has no {FINDINGS}")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def write_list(path: str | os.PathLike, entries: Sequence[Entry]) -> None:
    """Writes entries as CSV with a line of column names; angles in radians."""
    angles = ("" if entry.angle is None else f"{entry.angle:.4f}" for entry in entries)
    rows = (
        (one.name, one.identity, one.finding, angle, one.suggestion) for one, angle in zip(entries, angles, strict=True)
    )
    files.write_csv(path, _COLUMNS, rows)


def read_list(path: str | os.PathLike) -> list[Entry]:
    """Returns the entries of a list.

    Raises: ValueError if a line has other columns, an angle that is no number, or an unknown suggestion.
    """
    entries = []
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        lines = csv.reader(file)
        if tuple(next(lines, ())) != _COLUMNS:
            raise ValueError(f"{path}: expected the columns {','.join(_COLUMNS)} in the first line")
        for columns in lines:
            place = f"{path}:{lines.line_num}"
            if len(columns) != len(_COLUMNS):
                raise ValueError(f"{place}: expected {len(_COLUMNS)} columns, got {len(columns)}")
            name, identity, finding, angle, suggestion = map(files.unescaped, columns)
            if suggestion not in (DROP, LOOK) and not (suggestion.startswith(MOVE) and suggestion[len(MOVE) :].strip()):
                raise ValueError(
                    f"{place}: suggestion must be {DROP!r}, {LOOK!r} or 'move to NAME', got {suggestion!r}"
                )
            if not name and not identity:
                raise ValueError(f"{place}: expected the name of a photo or of an identity, got neither")
            try:
                entries.append(Entry(name, identity, finding, float(angle) if angle else None, suggestion))
            except ValueError:
                raise ValueError(f"{place}: angle must be a number of radians, got {angle!r}") from None
    return entries
