"""An .xlsx workbook becomes CSV: the right sheet, found by its header."""

from __future__ import annotations

import datetime as dt
import itertools
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import python_calamine

from tap_autodesk_exports.files.csv_dialect import write_row
from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.files.sheets import Sheets

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

_HEADER_ROWS = 50
"""Rows from the top of a sheet among which its header is looked for."""
_MICROSECOND = dt.timedelta(microseconds=1)


def workbook_to_csv(
    path: Path, target: Path, *, expected: Collection[str], rename: Callable[[str], str]
) -> None:
    """Write the sheet that holds the expected columns as CSV.

    Sheet names are localised (documented) and a usage report begins with a sheet of filters
    (observed), so neither name nor position tells: the header is the row with the most expected
    names; without expectations, the widest first row.

    Excel has one number type and no empty string: 1.0 is written as 1, an empty cell is null.
    Dates are YYYY-MM-DD, instants YYYY-MM-DD HH:MM:SS[.ffffff]. Rows without a value are left out.

    Raises:
        FileError: The workbook cannot be read, or no sheet holds any of the expected columns.
    """
    try:
        with Sheets(path) as sheets:
            name, start = _find_header(path, sheets, expected, rename)
            with target.open("wb") as out:
                width = 0
                for at, row in enumerate(sheets.rows(name)):
                    cells = [_cell(value) for value in row]
                    width = width or (at == start) * len(cells)
                    if at == start or (at > start and any(cell is not None for cell in cells)):
                        if any(cell is not None for cell in cells[width:]):
                            raise FileError(path, "has values to the right of its header.")
                        cells += [None] * (width - len(cells))
                        out.write(write_row(cells[:width]))
    except python_calamine.PasswordError:
        raise FileError(path, "is a workbook with a password.") from None
    except (python_calamine.CalamineError, zipfile.BadZipFile, zlib.error, UnicodeError) as error:
        raise FileError(path, f"is a workbook that cannot be read ({error}).") from error


def _find_header(
    path: Path, sheets: Sheets, expected: Collection[str], rename: Callable[[str], str]
) -> tuple[str, int]:
    """Return the sheet's name and the position of its header, counted from 0."""
    wanted = set(expected)
    best, found = 0, None
    for name in sheets.names:
        for at, row in enumerate(itertools.islice(sheets.rows(name), _HEADER_ROWS)):
            names = {rename(value) for value in row if isinstance(value, str) and value}
            score = len(names & wanted) if wanted else len(names)
            if score > best:
                best, found = score, (name, at)
            if names and not wanted:
                break
    if found is None:
        known = ", ".join(f"'{name}'" for name in sheets.names)
        raise FileError(
            path, f"is a workbook in which no sheet has the expected columns; its sheets: {known}."
        )
    return found


def _cell(value: Any) -> bytes | None:  # noqa: ANN401
    return _text(value).encode() or None


def _text(value: Any) -> str:  # noqa: ANN401
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
        case dt.datetime():
            return value.isoformat(" ")
        case dt.timedelta():
            return _duration(value)
        case _:
            return str(value)


def _duration(value: dt.timedelta) -> str:
    seconds, microseconds = divmod(round(value / _MICROSECOND), 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    fraction = f".{microseconds:06}" if microseconds else ""
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{fraction}"
