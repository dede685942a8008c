"""Several CSV files of one report become one, column by column."""

from __future__ import annotations

import collections
import filecmp
from typing import TYPE_CHECKING

from tap_autodesk_exports.files.csv_dialect import read_header, rows, write_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    Key = tuple[str, int]
    """Name of a column, and its number among those of that name in one file."""


def combine(paths: Sequence[Path], target: Path, rename: Callable[[str], str] = str) -> Path:
    """Return a CSV file with the rows of all files, in their order.

    Its header has every column of any of them, in the order of their first appearance; a row is
    null in the columns that its own file lacks. A single file is returned as it is.

    Args:
        paths: CSV files, as `as_csv` returns them.
        target: Where to write the combined file.
        rename: Name in a header -> name of the column: spellings of one name are one column.

    Raises:
        FileError: A file is damaged; the sentence names it.
    """
    if len(paths) == 1:
        return paths[0]
    headers = [next(rows(path)).cells for path in paths]
    names: dict[Key, bytes | None] = {}
    for header in headers:
        for key, cell in zip(_keys(header, rename), header, strict=True):
            names.setdefault(key, cell)
    places = {key: place for place, key in enumerate(names)}
    with target.open("wb") as out:
        out.write(write_row([*names.values()]))
        for path, header in zip(paths, headers, strict=True):
            order = [places[key] for key in _keys(header, rename)]
            for at, record in enumerate(rows(path)):
                if at:
                    row: list[bytes | None] = [None] * len(places)
                    for place, cell in zip(order, record.cells, strict=True):
                        row[place] = cell
                    out.write(write_row(row))
    return target


def _keys(header: Iterable[bytes | None], rename: Callable[[str], str]) -> list[Key]:
    seen: collections.Counter[str] = collections.Counter()
    keys = []
    for cell in header:
        name = rename(cell.decode()) if cell else ""
        seen[name] += 1
        keys.append((name, seen[name]))
    return keys


def has_rows(path: Path) -> bool:
    """Tell whether there is anything below the header of a CSV file."""
    return path.stat().st_size > read_header(path).end


def is_copy(path: Path, other: Path) -> bool:
    """Tell whether two CSV files hold the same rows, and some."""
    return has_rows(path) and filecmp.cmp(path, other, shallow=False)
