"""A CSV file as DuckDB reads it: checked to the last byte, or expected to go on as it begins."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tap_autodesk_exports.tables import dialect
from tap_autodesk_exports.tables.cells import (
    is_plain,
    is_plain_as,
    number_widths,
    parsed,
    path_literal,
)
from tap_autodesk_exports.tables.engine import MOST_MEMORY, one_row
from tap_autodesk_exports.tables.errors import FileError
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    import duckdb

    from tap_autodesk_exports.tables.engine import Engine

_ORDINARY = ", buffer_size = 4194304"
"""Small buffers keep memory low, as rows leave DuckDB by the buffer; it is no slower (measured)."""
_LONG_RECORDS = (
    f", max_line_size = {dialect.MAX_RECORD}"
    f", buffer_size = {2 * dialect.MAX_RECORD}, parallel = false"
)
"""Options for files with records above DuckDB's ordinary limit of 2 MB."""
_COPIES = 32_768
"""Rows in memory at once: 2048 for each of two threads, in up to eight stages of being written."""
_FIRST_ROWS = 10_240
"""Rows from which `expect` tells what all are like."""


@dataclass(frozen=True)
class Reading:
    """How to read a file, and what reading it has shown."""

    source: str
    """SQL of the rows; the cells are c0, c1, … in the order of the header, all VARCHAR."""
    rows: int
    filled: frozenset[str]
    """The cells that are not null in every row."""
    complete: frozenset[str]
    """The cells that are null in no row."""
    plain: frozenset[str]
    """The cells that stand in the usual spelling of their type in every row."""
    distinct: int
    """Number of different keys, by the cells as they stand; a few may be counted as one."""
    length: int
    """Bytes of all cells."""
    longest: int
    """Bytes that no row exceeds."""
    widths: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Of number cells, where it is known: the most characters before the point, and behind it."""
    parsed: frozenset[str] = frozenset()
    """The cells whose values stand beside them in the source, as p_c0, p_c1, …"""


def read(  # noqa: PLR0913, PLR0917
    engine: Engine,
    database: duckdb.DuckDBPyConnection,
    path: Path,
    types: Sequence[Type],
    key: Collection[str],
    copy: Path,
) -> Reading:
    """Read a file once, whole.

    Args:
        engine: Gives the memory that long rows need.
        database: The connection in which to read it.
        path: The CSV file.
        types: The type of each column of the header.
        key: The cells (c0, c1, …) whose different values are counted.
        copy: Where to write the file anew if DuckDB cannot read it as it stands.

    Raises:
        FileError: The file breaks the rules of the dialect.
    """
    with ThreadPoolExecutor(1) as beside:
        file = _File(path, types, key, beside)
        for options in (_ORDINARY, _ORDINARY + ", parallel = false", _LONG_RECORDS):
            reading = _attempt(engine, database, file, options)
            if reading is not None:
                if options != _LONG_RECORDS:
                    engine.allow(min(reading.longest * _COPIES, MOST_MEMORY))
                return reading
            if file.marks.result() is None:
                break
        # DuckDB and the file disagree: the dialect module decides who is right.
        rows = dialect.rewrite(path, copy)
        reading = _attempt(engine, database, _File(copy, types, key, beside), _LONG_RECORDS)
    if reading is None or reading.rows != rows:
        raise FileError(path, "cannot be read exactly. Please report this.")
    return reading


def expect(
    engine: Engine,
    database: duckdb.DuckDBPyConnection,
    path: Path,
    types: Sequence[Type],
    key: Collection[str],
) -> Reading | None:
    """Expect of a file what its first rows show, without reading it whole.

    A query over the source fails at a cell that is not plain, or has no room in the SQL type that
    the first rows suggest. What only the whole file can show is to be checked when the query has
    run: that no key stands twice, and that no comma is left over, see `dialect.count_commas`.

    Args:
        engine: As in `read`.
        database: As in `read`.
        path: As in `read`.
        types: As in `read`.
        key: As in `read`.

    Returns:
        How to read the file, with the numbers of its first rows; None where they do not promise
        that all can be read in this way.

    Raises:
        duckdb.InvalidInputException: DuckDB cannot read them.
    """
    cells = [f"c{at}" for at in range(len(types))]
    source = _source(path, len(types), _ORDINARY)
    first_rows = f"(FROM {source} LIMIT {_FIRST_ROWS})"
    first = _profile(engine, database, first_rows, types, key)
    if not first.rows or len(cells) == 1:
        return None
    if len(first.plain) < len(cells) or first.distinct < first.rows:
        return None
    engine.allow(min(first.longest * _COPIES, MOST_MEMORY))
    numbers = [cell for cell, type_ in zip(cells, types, strict=True) if type_ is Type.NUMBER]
    widths = _widths(database, first_rows, numbers) if numbers else {}
    values = _parsed(cells, types)
    checked = ", ".join(
        cell if type_ is Type.STRING else f"{_checked(value, cell, type_, widths)} AS {value}"
        for cell, type_ in zip(cells, types, strict=True)
        for value in (cell, *([f"p_{cell}"] if cell in values else []))
    )
    return replace(
        first,
        source=f"(SELECT {checked} FROM {_with(values, source)})",  # noqa: S608
        filled=frozenset(cells),
        complete=frozenset(),
        widths=widths,
        parsed=frozenset(values),
    )


def _widths(
    database: duckdb.DuckDBPyConnection, source: str, cells: Sequence[str]
) -> dict[str, tuple[int, int]]:
    """Return `Reading.widths` of number cells that are plain."""
    outputs = ", ".join(width for cell in cells for width in number_widths(cell))
    found = one_row(database, f"SELECT {outputs} FROM {source}")  # noqa: S608
    return dict(zip(cells, zip(found[::2], found[1::2], strict=True), strict=True))


def _checked(value: str, cell: str, type_: Type, widths: Mapping[str, tuple[int, int]]) -> str:
    """SQL of a value that fails where its cell is not as the first ones."""
    is_number = type_ is Type.NUMBER
    condition = is_plain_as(cell, *widths[cell]) if is_number else is_plain(cell, type_)
    return f"CASE WHEN {condition} THEN {value} ELSE error('not as expected') END"


def _parsed(cells: Sequence[str], types: Sequence[Type]) -> dict[str, str]:
    """Return SQL of the value of each cell that DuckDB is to read for `is_plain`."""
    found = {cell: parsed(cell, type_) for cell, type_ in zip(cells, types, strict=True)}
    return {cell: value for cell, value in found.items() if value}


def _with(values: dict[str, str], source: str) -> str:
    """SQL of the rows of a source with their `values` beside them."""
    columns = "".join(f", {value} AS p_{cell}" for cell, value in values.items())
    return f"(SELECT *{columns} FROM {source})"  # noqa: S608


class _File:
    """A file to be read; its quotes are looked at in a thread while DuckDB works."""

    def __init__(
        self,
        path: Path,
        types: Sequence[Type],
        key: Collection[str],
        beside: ThreadPoolExecutor,
    ) -> None:
        self.path = path
        self.types = types
        self.key = key
        self.header = dialect.read_header(path)
        self.marks = beside.submit(dialect.count_marks, path, self.header.end)


def _attempt(
    engine: Engine, database: duckdb.DuckDBPyConnection, file: _File, options: str
) -> Reading | None:
    """Read a file with some options; None where DuckDB cannot, or reads it otherwise."""
    import duckdb  # noqa: PLC0415 - not before there is a file to read

    source = _source(file.path, len(file.types), options)
    if options == _LONG_RECORDS:
        engine.allow(MOST_MEMORY)
    try:
        reading = _profile(engine, database, source, file.types, file.key)
    except duckdb.InvalidInputException:
        return None
    return reading if _makes_up(file, reading) else None


def _makes_up(file: _File, reading: Reading) -> bool:
    """Tell whether the rows are the file, byte by byte.

    Cells, separators and quotes must add up to the file's size, and every quote must be where the
    rules want it. DuckDB reads some other files otherwise than they stand there without a word
    (observed: a space beside a quote, a comma too many at the end of a row, an open quote at the
    end of a file, text between quotes).
    """
    marks = file.marks.result()
    if marks is None:
        return False
    header, newline = file.header, len(file.header.newline)
    size = header.end + reading.length + marks + reading.rows * (len(file.types) - 1 + newline)
    if reading.rows and not dialect.ends_with_newline(file.path):
        size -= newline
    return size == file.path.stat().st_size


def _source(path: Path, width: int, options: str) -> str:
    columns = ", ".join(f"'c{at}': 'VARCHAR'" for at in range(width))
    # DuckDB takes a suffix for a compression, and `a=b` in a path for a partition.
    return (
        f"read_csv({path_literal(path)}, columns = {{{columns}}}, auto_detect = false,"
        " header = true, delim = ',', quote = '\"', escape = '\"', strict_mode = true,"
        " nullstr = '', allow_quoted_nulls = false, compression = 'none', hive_partitioning = false"
        f"{options})"
    )


def _profile(
    engine: Engine,
    database: duckdb.DuckDBPyConnection,
    source: str,
    types: Sequence[Type],
    key: Collection[str],
) -> Reading:
    """Read all rows of a source."""
    cells = [f"c{at}" for at in range(len(types))]
    typed = [
        (cell, type_) for cell, type_ in zip(cells, types, strict=True) if type_ is not Type.STRING
    ]
    outputs = [
        "count(*)",
        f"count(DISTINCT hash({', '.join(key)}))" if key else "1",
        *(f"count({cell})" for cell in cells),
        *(f"coalesce(sum(strlen({cell})), 0)" for cell in cells),
        *(f"coalesce(max(strlen({cell})), 0)" for cell in cells),
        *(f"bool_and({is_plain(cell, type_)})" for cell, type_ in typed),
    ]
    query = f"SELECT {', '.join(outputs)} FROM {_with(_parsed(cells, types), source)}"  # noqa: S608
    ((rows, distinct, *found),) = engine.execute(database, query)
    rest = iter(found)
    counts, lengths, longest = ([next(rest) for _ in cells] for _ in range(3))
    uneven = {cell for (cell, _), is_even in zip(typed, rest, strict=True) if not is_even}
    filled = {cell: count for cell, count in zip(cells, counts, strict=True) if count}
    return Reading(
        source,
        rows,
        filled=frozenset(filled),
        complete=frozenset(cell for cell, count in filled.items() if count == rows),
        plain=frozenset(cells) - uneven,
        distinct=distinct,
        length=sum(lengths),
        longest=sum(longest),
    )
