"""The shape of a downloaded file: what it is, how it is written, its header, kinds of its cells."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.files.archive import Archive
from tap_autodesk_exports.files.convert import as_csv, kind_of
from tap_autodesk_exports.shapes.kinds import form_of, kind_of_text
from tap_autodesk_exports.tables.spelling import is_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

ROWS = 2000
"""Rows of a file whose cells are looked at."""
FORMS = 8
"""Ways to write a date or time that are listed for a column, at the most."""
LONGEST_CELL = 64 << 20
"""Bytes; as long as a record may be."""
_BOM = b"\xef\xbb\xbf"
_DATED = frozenset({"date", "time", "date-time"})


@dataclasses.dataclass
class FileShape:
    """A file.

    Attributes:
        kind: What it is: csv, zip, …
        size: Bytes.
        has_bom: Whether it begins with a byte order mark.
        line_end: `LF`, `CRLF` or `none`.
        ends_with_line_end: Whether its last line has a line end.
        columns: Names as they are in the header, in order -> kinds of the cells of its first rows.
        forms: Column -> how its dates and times are written, each digit as 9.
        rows_seen: How many rows that were.
        problem: Why it could not be read, without anything of its content.
    """

    kind: str
    size: int
    has_bom: bool = False
    line_end: str = "none"
    ends_with_line_end: bool = False
    columns: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    forms: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    rows_seen: int = 0
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return dataclasses.asdict(self)


@contextlib.contextmanager
def _long_cells() -> Iterator[None]:
    """Have the csv module take long cells: its limit is one for the whole process."""
    before = csv.field_size_limit(LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def shape_of(
    path: Path,
    folder: Path,
    expected: Collection[str],
    rename: Callable[[str], str],
    *,
    json: bool = False,
) -> FileShape:
    """Return the shape of a file.

    Args:
        path: The file.
        folder: Where a CSV file may be written that is made of it.
        expected: Names of the columns by which a sheet is recognised.
        rename: Name in a header -> name of the column.
        json: Whether JSON was requested.
    """
    shape = FileShape(str(kind_of(path)), path.stat().st_size)
    with path.open("rb") as file:
        start = file.read(1 << 16)
        shape.has_bom = start.startswith(_BOM)
        shape.line_end = "CRLF" if b"\r\n" in start else "LF" if b"\n" in start else "none"
        file.seek(-1, 2) if shape.size else None
        shape.ends_with_line_end = file.read(1) in {b"\n", b"\r"}
    try:
        table = as_csv(path, folder, json=json, expected=expected, rename=rename)
    except TapError as error:
        shape.problem = type(error).__name__
        return shape
    with table.open(encoding="utf-8-sig", newline="", errors="replace") as text, _long_cells():
        rows = csv.reader(text)
        try:
            header = _shown(next(rows, []), expected, rename)
            _note_cells(shape, header, itertools.islice(rows, ROWS))
        except csv.Error as error:
            shape.problem = type(error).__name__
    return shape


def _shown(header: list[str], expected: Collection[str], rename: Callable[[str], str]) -> list[str]:
    """Return the names of a header as they can be shown.

    Without any expected name it may be a row, and an unknown name may be a person's.
    """
    known = [rename(name) in expected for name in header]
    return [
        name if is_known or (any(known) and is_name(name)) else f"column {at}"
        for at, (name, is_known) in enumerate(zip(header, known, strict=True), start=1)
    ]


def _note_cells(shape: FileShape, header: list[str], rows: Any) -> None:  # noqa: ANN401
    kinds: list[set[str]] = [set() for _ in header]
    forms: list[set[str]] = [set() for _ in header]
    for row in rows:
        shape.rows_seen += 1
        for at, cell in enumerate(row[: len(header)]):
            kind = kind_of_text(cell)
            kinds[at].add(kind)
            if kind in _DATED and len(forms[at]) < FORMS:
                forms[at].add(form_of(cell))
    shape.columns = {name: sorted(found) for name, found in zip(header, kinds, strict=True)}
    shape.forms = {name: sorted(found) for name, found in zip(header, forms, strict=True) if found}


def members(path: Path, folder: Path, names: Collection[str]) -> Iterator[Path]:
    """Unpack the CSV files of a ZIP that are wanted, each only while it is looked at.

    Raises:
        FileError: The archive or a member is damaged, or a bomb.
        NoSpace: A member is too large for the disk.
    """
    archive = Archive(path)
    try:
        for name in sorted({member.name for member in archive.names()}.intersection(names)):
            file = archive.extract(name, folder)
            yield file
            file.unlink()
    finally:
        archive.close()
