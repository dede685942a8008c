"""A CSV file as DuckDB reads it: checked to the last byte, or expected to go on as it begins."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tap_autodesk_exports.files import csv_dialect
from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.tables.cells import (
    is_regular,
    is_regular_as,
    number_widths,
    parsed,
    path_literal,
)
from tap_autodesk_exports.tables.engine import MOST_MEMORY, one_row
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    import duckdb

    from tap_autodesk_exports.tables.engine import Engine

_ORDINARY = ", buffer_size = 4194304"
"""Small buffers keep memory low, as rows leave DuckDB by the buffer; it is no slower (measured)."""
_LONG_RECORDS = (
    f", max_line_size = {csv_dialect.MAX_RECORD}"
    f", buffer_size = {2 * csv_dialect.MAX_RECORD}, parallel = false"
)
"""Options for files with records above DuckDB's ordinary limit of 2 MB."""
_COPIES = 32_768
"""Rows in memory at once: 2048 for each of two threads, in up to eight stages of being written."""
_FIRST_ROWS = 10_240
"""Rows from which `expect` tells what all are like."""


@dataclass(frozen=True)
class Scan:
    """How to read a file, and what reading it has shown."""

    source: str
    """SQL of the rows; the cells are c0, c1, … in the order of the header, all VARCHAR."""
    rows: int
    filled: frozenset[str]
    """The cells that are not null in every row."""
    complete: frozenset[str]
    """The cells that are null in no row."""
    regular: frozenset[str]
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


@dataclass(frozen=True)
class CsvFile:
    """A CSV file and what is known of its cells before it is read."""

    path: Path
    header: csv_dialect.Header
    types: tuple[Type, ...]
    """The type of each column of the header."""
    key: tuple[str, ...]
    """The cells (c0, c1, …) whose different values are counted."""


def read(engine: Engine, database: duckdb.DuckDBPyConnection, file: CsvFile, copy: Path) -> Scan:
    """Read a file once, whole.

    Args:
        engine: Gives the memory that long rows need.
        database: The connection in which to read it.
        file: The file.
        copy: Where to write the file again if DuckDB cannot read it as it stands.

    Raises:
        FileError: The file breaks the rules of the dialect.
    """
    with ThreadPoolExecutor(1) as beside:
        marks = beside.submit(csv_dialect.count_marks, file.path, file.header.end)
        for options in (_ORDINARY, _ORDINARY + ", parallel = false", _LONG_RECORDS):
            scan = _attempt(engine, database, file, options, marks)
            if scan is not None:
                if options != _LONG_RECORDS:
                    engine.allow(min(scan.longest * _COPIES, MOST_MEMORY))
                return scan
            if marks.result() is None:
                break
        # DuckDB and the file disagree: the dialect module decides who is right.
        rows = csv_dialect.rewrite(file.path, copy)
        file = replace(file, path=copy, header=csv_dialect.read_header(copy))
        marks = beside.submit(csv_dialect.count_marks, copy, file.header.end)
        scan = _attempt(engine, database, file, _LONG_RECORDS, marks)
    if scan is None or scan.rows != rows:
        raise FileError(file.path, "cannot be read exactly. Please report this.")
    return scan


def expect(engine: Engine, database: duckdb.DuckDBPyConnection, file: CsvFile) -> Scan | None:
    """Expect of a file what its first rows show, without reading it whole.

    A query over the source fails at a cell that is not regular, or has no room in the SQL type that
    the first rows suggest. What only the whole file can show must be checked after the query has
    run: that no key occurs twice, and that no comma is left over, see `csv_dialect.count_commas`.

    Args:
        engine: As in `read`.
        database: As in `read`.
        file: As in `read`.

    Returns:
        How to read the file, with the numbers of its first rows; None where they do not promise
        that all can be read in this way.

    Raises:
        duckdb.InvalidInputException: DuckDB cannot read them.
    """
    types = file.types
    cells = [f"c{at}" for at in range(len(types))]
    source = _source(file.path, len(types), _ORDINARY)
    first_rows = f"(FROM {source} LIMIT {_FIRST_ROWS})"
    first = _profile(engine, database, first_rows, file)
    if not first.rows or len(cells) == 1:
        return None
    if len(first.regular) < len(cells) or first.distinct < first.rows:
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
    """Return `Scan.widths` of number cells that are regular."""
    outputs = ", ".join(width for cell in cells for width in number_widths(cell))
    found = one_row(database, f"SELECT {outputs} FROM {source}")  # noqa: S608
    return dict(zip(cells, zip(found[::2], found[1::2], strict=True), strict=True))


def _checked(value: str, cell: str, type_: Type, widths: Mapping[str, tuple[int, int]]) -> str:
    """SQL of a value that fails where its cell is not as the first ones."""
    is_number = type_ is Type.NUMBER
    condition = is_regular_as(cell, *widths[cell]) if is_number else is_regular(cell, type_)
    return f"CASE WHEN {condition} THEN {value} ELSE error('not as expected') END"


def _parsed(cells: Sequence[str], types: Sequence[Type]) -> dict[str, str]:
    """Return SQL of the value of each cell that DuckDB is to read for `is_regular`."""
    found = {cell: parsed(cell, type_) for cell, type_ in zip(cells, types, strict=True)}
    return {cell: value for cell, value in found.items() if value}


def _with(values: dict[str, str], source: str) -> str:
    """SQL of the rows of a source with their `values` beside them."""
    columns = "".join(f", {value} AS p_{cell}" for cell, value in values.items())
    return f"(SELECT *{columns} FROM {source})"  # noqa: S608


def _attempt(
    engine: Engine,
    database: duckdb.DuckDBPyConnection,
    file: CsvFile,
    options: str,
    marks: Future[int | None],
) -> Scan | None:
    """Read a file with some options; None where DuckDB cannot, or reads it otherwise.

    `marks` are the file's quotes, counted in a thread while DuckDB works.
    """
    import duckdb  # noqa: PLC0415 - not before there is a file to read

    source = _source(file.path, len(file.types), options)
    if options == _LONG_RECORDS:
        engine.allow(MOST_MEMORY)
    try:
        scan = _profile(engine, database, source, file)
    except duckdb.InvalidInputException:
        return None
    return scan if _makes_up(file, scan, marks.result()) else None


def _makes_up(file: CsvFile, scan: Scan, marks: int | None) -> bool:
    """Tell whether the rows are the file, byte by byte.

    Cells, separators and quotes must add up to the file's size, and every quote must be where the
    rules want it. DuckDB reads some other files otherwise than they stand there without a word
    (observed: a space beside a quote, a comma too many at the end of a row, an open quote at the
    end of a file, text between quotes).
    """
    if marks is None:
        return False
    header, newline = file.header, len(file.header.newline)
    size = header.end + scan.length + marks + scan.rows * (len(file.types) - 1 + newline)
    if scan.rows and not csv_dialect.ends_with_newline(file.path):
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
    file: CsvFile,
) -> Scan:
    """Read all rows of a source."""
    types, key = file.types, file.key
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
        *(f"bool_and({is_regular(cell, type_)})" for cell, type_ in typed),
    ]
    query = f"SELECT {', '.join(outputs)} FROM {_with(_parsed(cells, types), source)}"  # noqa: S608
    ((rows, distinct, *found),) = engine.execute(database, query)
    rest = iter(found)
    counts, lengths, longest = ([next(rest) for _ in cells] for _ in range(3))
    irregular = {cell for (cell, _), is_regular in zip(typed, rest, strict=True) if not is_regular}
    filled = {cell: count for cell, count in zip(cells, counts, strict=True) if count}
    return Scan(
        source,
        rows,
        filled=frozenset(filled),
        complete=frozenset(cell for cell, count in filled.items() if count == rows),
        regular=frozenset(cells) - irregular,
        distinct=distinct,
        length=sum(lengths),
        longest=sum(longest),
    )
