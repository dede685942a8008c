"""A CSV file as DuckDB reads it: checked to the last byte, or expected to go on as it begins."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tap_autodesk_exports.files import csv_dialect
from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.tables import long_cells
from tap_autodesk_exports.tables.cells import (
    is_regular,
    is_regular_and_exact,
    parsed,
    path_literal,
)
from tap_autodesk_exports.tables.engine import MOST_MEMORY
from tap_autodesk_exports.tables.types import LONGEST_VALUE, UUID_LENGTH, Type

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from pathlib import Path

    import duckdb

    from tap_autodesk_exports.tables.cleaning import Cleaner
    from tap_autodesk_exports.tables.engine import Engine
    from tap_autodesk_exports.tables.numbers import ParquetNumbers

_ORDINARY = ", buffer_size = 4194304"
"""Small buffers keep memory low, as rows leave DuckDB by the buffer; it is no slower (measured)."""
_SERIAL = _ORDINARY + ", parallel = false"
_LONG_RECORDS = (
    f", max_line_size = {csv_dialect.MAX_LINE}, buffer_size = {4 * csv_dialect.MAX_LINE},"
    " parallel = false"
)
"""Options for records above DuckDB's ordinary limit of 2 MB, which even short cells can make up."""
_MOST_HEAVY = 16 << 20
"""Bytes of all rows that may have a long cell, up to which a file is read as it is."""
_COPIES = 32_768
"""Rows in memory at once: 2048 for each of two threads, in up to eight stages of being written."""
_COLUMN = 1 << 20
"""Bytes that a column takes in them, whatever it holds."""
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
    """The cells that have the usual spelling of their type in every row."""
    distinct: int
    """Number of different keys, by the cells as they stand; a few may be counted as one."""
    length: int
    """Bytes of all cells."""
    longest: int
    """Bytes of the longest row."""
    heavy: int
    """Bytes of all rows that are long enough to have a long cell."""
    long: frozenset[str]
    """The cells in which some texts are long, or may be marks of long ones."""
    marked: bool = False
    """Whether marks have taken the places of long cells, see `long_cells`."""
    exact: bool = False
    """Whether it is known that Parquet files can hold all numbers without a change."""
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


def read(
    engine: Engine, database: duckdb.DuckDBPyConnection, file: CsvFile, cleaner: Cleaner
) -> Scan:
    """Read a file once, whole.

    Args:
        engine: Gives the memory that long rows need.
        database: The connection in which to read it.
        file: The file.
        cleaner: Rewrites the file if the database cannot read it as it is, or must not.

    Raises:
        FileError: The file breaks the rules of the dialect.
    """
    with ThreadPoolExecutor(1) as beside:
        scan = None
        if not cleaner.must_rewrite:
            survey = beside.submit(_survey, file, cleaner)
            scan = _first(engine, database, file, (_ORDINARY, _SERIAL), survey)
        if scan is None or survey.result().is_suspicious or scan.heavy > _MOST_HEAVY:
            path, rows = cleaner.rewrite()
            copy = replace(file, path=path, header=csv_dialect.read_header(path))
            survey = beside.submit(_survey, copy, cleaner)
            scan = _first(engine, database, copy, (_ORDINARY, _SERIAL, _LONG_RECORDS), survey)
            if scan is None or scan.rows != rows:
                raise FileError(file.path, "cannot be read exactly. Please report this.")
            if cleaner.long_cells:
                cells = frozenset(f"c{at}" for at in range(len(file.types)))
                scan = replace(scan, long=cells, marked=True)
    engine.allow(_memory(scan.longest, len(file.types)))
    return scan


def _memory(longest: int, columns: int) -> int:
    """Return the bytes that rows may take in addition to ordinary ones."""
    return min(longest * _COPIES + columns * _COLUMN, MOST_MEMORY)


def _survey(file: CsvFile, cleaner: Cleaner) -> csv_dialect.Survey:
    return csv_dialect.survey(file.path, file.header.end, cleaner.is_suspicious)


def _first(
    engine: Engine,
    database: duckdb.DuckDBPyConnection,
    file: CsvFile,
    all_options: Sequence[str],
    survey: Future[csv_dialect.Survey],
) -> Scan | None:
    """Read a file with the first options that account for every byte of it; None if none do."""
    for options in all_options:
        scan = _attempt(engine, database, file, options, survey)
        if scan is not None or survey.result().marks is None:
            return scan
    return None


def expect(
    engine: Engine, database: duckdb.DuckDBPyConnection, file: CsvFile, numbers: ParquetNumbers
) -> Scan | None:
    """Expect of a file what its first rows show, without reading it whole.

    A query over the source fails at a cell that is not regular, or a number that cannot be stored
    without a change. What only the whole file can show must be checked after the query has run:
    that no key occurs twice, and that no comma is left over, see `csv_dialect.count_commas`.

    Args:
        engine: As in `read`.
        database: As in `read`.
        file: As in `read`.
        numbers: How numbers are stored.

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
    if len(first.regular) < len(cells) or first.distinct < first.rows or first.long:
        return None
    engine.allow(_memory(first.longest, len(types)))
    values = _parsed(cells, types)
    free = {
        cell
        for cell, type_ in zip(cells, types, strict=True)
        if type_ is Type.STRING and cell not in file.key
    }
    checked = ", ".join(
        cell if cell in free else f"{_checked(value, cell, type_, numbers)} AS {value}"
        for cell, type_ in zip(cells, types, strict=True)
        for value in (cell, *([f"p_{cell}"] if cell in values else []))
    )
    return replace(
        first,
        source=f"(SELECT {checked} FROM {_with(values, source)})",  # noqa: S608
        filled=frozenset(cells),
        complete=frozenset(),
        exact=True,
        parsed=frozenset(values),
    )


def _checked(value: str, cell: str, type_: Type, numbers: ParquetNumbers) -> str:
    """SQL of a value that fails where its cell is not as expected."""
    is_decimal = type_ is Type.NUMBER and numbers.digits
    condition = is_regular_and_exact(cell, numbers) if is_decimal else is_regular(cell, type_)
    if type_ is Type.STRING:  # part of the key, in which a long text counts otherwise
        condition = f"coalesce(strlen({cell}) <= {long_cells.LONG}, true)"
    elif type_ is Type.NUMBER and not numbers.digits:
        condition += f" AND coalesce(strlen({cell}) <= {LONGEST_VALUE}, true)"
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
    survey: Future[csv_dialect.Survey],
) -> Scan | None:
    """Read a file with some options; None where DuckDB cannot, or reads it otherwise.

    The survey is made in a thread while DuckDB works.
    """
    import duckdb  # noqa: PLC0415 - not before there is a file to read

    source = _source(file.path, len(file.types), options)
    try:
        scan = _profile(engine, database, source, file)
    except (
        duckdb.InvalidInputException,
        duckdb.NotImplementedException,
        duckdb.OutOfMemoryException,
    ):
        return None
    return scan if _makes_up(file, scan, survey.result().marks) else None


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
        (cell, type_)
        for cell, type_ in zip(cells, types, strict=True)
        if type_ not in {Type.STRING, Type.UUID}
    ]
    # The bytes of a row are summed up beneath: written out three times, they double the cost of a
    # small table.
    of_rows = {"bytes": " + ".join(f"coalesce(strlen({cell}), 0)" for cell in cells)}
    outputs = [
        "count(*)",
        f"count(DISTINCT hash({', '.join(key)}))" if key else "1",
        "sum(p_bytes)",
        "max(p_bytes)",
        f"sum(p_bytes) FILTER (WHERE p_bytes > {long_cells.LONG})",
        *(f"count({cell})" for cell in cells),
        *(f"max(strlen({cell}))" for cell in cells),
        *(f"bool_and({is_regular(cell, type_)})" for cell, type_ in typed),
    ]
    rows_of = _with(_parsed(cells, types) | of_rows, source)
    query = f"SELECT {', '.join(outputs)} FROM {rows_of}"  # noqa: S608
    ((rows, distinct, length, longest, heavy, *found),) = engine.execute(database, query)
    rest = iter(found)
    counts, lengths = ([next(rest) or 0 for _ in cells] for _ in range(2))
    irregular = {cell for (cell, _), is_regular in zip(typed, rest, strict=True) if not is_regular}
    irregular |= {
        cell
        for cell, type_, most in zip(cells, types, lengths, strict=True)
        if type_ is not Type.STRING
        and most > (UUID_LENGTH if type_ is Type.UUID else LONGEST_VALUE)
    }
    long = {cell for cell, most in zip(cells, lengths, strict=True) if most > long_cells.LONG}
    filled = {cell: count for cell, count in zip(cells, counts, strict=True) if count}
    return Scan(
        source,
        rows,
        filled=frozenset(filled),
        complete=frozenset(cell for cell, count in filled.items() if count == rows),
        regular=frozenset(cells) - irregular,
        distinct=distinct,
        length=length or 0,
        longest=longest or 0,
        heavy=heavy or 0,
        long=frozenset(long),
    )
