"""Which of the files of an export hold the rows of its report, and whose rows they are.

Documented: some exports have several downloads. Observed: a usage report has a list of its filters
as the first of two. Inferred: seat rows and token rows may come as two downloads, or two sheets,
of one report; so files are distinguished by their headers.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import operator
from typing import TYPE_CHECKING

from tap_autodesk_exports.files.combine import combine, has_rows, is_copy
from tap_autodesk_exports.files.csv_dialect import read_header, rows, write_row
from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.files.headers import with_the_reports_header

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tap_autodesk_exports.autodesk.insights.teams import Teams

logger = logging.getLogger("tap-autodesk-exports")

TEAM_ID, TEAM_ALIAS = "team_id", "team_alias"
FEW = 0.5
"""Part of the report's columns below which a file is something else, such as a list of filters."""
FETCHED_TWICE = (
    "is the same as another one of its export, whose links lead to other places each time, so that "
    "one file may have been fetched twice and another one not at all. Run again."
)


@dataclasses.dataclass(frozen=True)
class Download:
    """A file of an export, as CSV.

    Attributes:
        name: How it is called in the log.
        path: The file.
        is_json: Whether JSON was requested: a list without objects has no header of its own.
    """

    name: str
    path: Path
    is_json: bool = False


@dataclasses.dataclass(frozen=True)
class ReportFile:
    """The file with the rows of a report.

    Attributes:
        path: The file.
        left_aside: Names of the files that may hold rows of it and were not taken.
    """

    path: Path
    left_aside: tuple[str, ...]


def report_file(  # noqa: PLR0913
    downloads: Sequence[Download],
    expected: set[str],
    rename: Callable[[str], str],
    folder: Path,
    log: Callable[[int, str], None] = logger.log,
    *,
    are_distinct: bool = True,
) -> ReportFile | None:
    """Make one file of all that hold rows of a report; None where none does.

    Args:
        downloads: The files of the export.
        expected: The report's columns.
        rename: Name in a header -> name of the column.
        folder: Where a file of several is written.
        log: Called with the level and the sentence for each file that is left aside.
        are_distinct: Whether two equal files are surely two, and not one that was fetched twice.

    Raises:
        FileError: A file may have been fetched twice in place of another one.
    """
    found = [expected & {rename(n) for n in read_header(each.path).names} for each in downloads]
    is_empty = [each.is_json and not has_rows(each.path) for each in downloads]
    if any(names and not empty for names, empty in zip(found, is_empty, strict=True)):
        # All expected columns were given to an empty list, and rows may have few of them.
        downloads = list(itertools.compress(downloads, map(operator.not_, is_empty)))
        found = list(itertools.compress(found, map(operator.not_, is_empty)))
    taken: list[Path] = []
    aside: list[str] = []
    most = max((len(names) for names in found), default=0)
    if not most:
        return None
    for each, names, is_it in zip(downloads, found, with_the_reports_header(found), strict=True):
        if not is_it:
            if len(names) >= FEW * most:
                aside.append(each.name)
            log(
                logging.WARNING if len(names) >= FEW * most else logging.INFO,
                f"File '{each.name}' of the export has {len(names)} of the report's columns and is "
                "left aside.",
            )
        elif any(is_copy(each.path, other) for other in taken):
            if not are_distinct:
                raise FileError(each.path, FETCHED_TWICE)
            log(
                logging.WARNING,
                f"File '{each.name}' of the export is the same as another one and is left aside.",
            )
        else:
            taken.append(each.path)
    return ReportFile(combine(taken, folder / "report.csv", rename), tuple(aside))


def with_team_ids(path: Path, teams: Teams, rename: Callable[[str], str], target: Path) -> Path:
    """Return a file of all teams with a column `team_id`, by the alias in each row.

    Raises:
        FileError: The file is damaged, or has no column with the alias.
    """
    names = [rename(name) for name in read_header(path).names]
    if TEAM_ALIAS not in names or TEAM_ID in names:
        if TEAM_ID in names:
            return path
        problem = (
            "is of all teams and does not say which team a row belongs to. Set "
            "'insights_export_scope: per_team'."
        )
        raise FileError(path, problem)
    at = names.index(TEAM_ALIAS)
    aliases = {
        (record.cells[at] or b"").decode(errors="replace").strip()
        for number, record in enumerate(rows(path, is_told=True))
        if number
    }
    ids = {alias.encode(): each.encode() for alias, each in teams.ids(aliases - {""}).items()}
    with target.open("wb") as out:
        for number, record in enumerate(rows(path)):
            team_id = ids.get((record.cells[at] or b"").strip()) if number else TEAM_ID.encode()
            out.write(write_row([*record.cells, team_id]))
    return target
