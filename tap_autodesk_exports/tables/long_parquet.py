"""Parquet files of rows with long cells: a few rows each, so that a few cells are in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_autodesk_exports.tables.cells import identifier, path_literal, quoted
from tap_autodesk_exports.tables.layout import RESCUED_DATA
from tap_autodesk_exports.tables.long_cells import MARK, RESCUED_MARK, Mark, marks_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    import duckdb

    from tap_autodesk_exports.tables.engine import Engine
from tap_autodesk_exports.tables.long_cells import LongCells

_MOST_BYTES = 16 << 20
_MOST_MARKS = 20
"""Bytes and number of long cells in a file, as long as each row has fewer."""
_COPIES = 6
"""How often a long cell is in memory while it is written."""
_FORMAT = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 2048"

Places = dict[int, dict[str, list[Mark]]]
"""Number of a row -> name of a column -> the marks in its text."""


def with_long_cells(
    engine: Engine,
    database: duckdb.DuckDBPyConnection,
    marked: Path,
    texts: Collection[str],
    long_cells: LongCells,
) -> list[Path]:
    """Return Parquet files with the rows of one, and the long cells in place of their marks.

    Args:
        engine: Gives the memory that a long cell needs.
        database: Where to run queries.
        marked: A Parquet file whose texts hold marks; the new ones are written beside it.
        texts: Names of its columns that are text.
        long_cells: What the marks stand for.
    """
    if not texts:
        return [marked]
    source = f"read_parquet({path_literal(marked)}, file_row_number = true)"
    columns = [identifier(name) for name in texts]
    is_marked = " OR ".join(
        f"coalesce(contains({column}, {quoted(mark)}), false)"
        for column in columns
        for mark in (MARK, RESCUED_MARK)
    )
    files = [marked.with_name("short")]
    (short,) = database.execute(
        f"COPY (SELECT * EXCLUDE (file_row_number) FROM {source} WHERE NOT ({is_marked}))"  # noqa: S608
        f" TO {quoted(str(files[0]))} ({_FORMAT})"
    ).fetchone() or (0,)
    if not short:
        files.pop()
    found = database.execute(
        f"SELECT file_row_number, {', '.join(columns)} FROM {source} WHERE {is_marked}"  # noqa: S608
    ).fetchall()
    places: Places = {
        row: {
            name: marks
            for name, value in zip(texts, values, strict=True)
            if (marks := marks_in(value or ""))
        }
        for row, *values in found
    }
    for at, group in enumerate(_groups(places)):
        files.append(marked.with_name(f"long-{at}"))
        _write_group(engine, database, source, group, long_cells, files[-1])
    return files


def _groups(places: Places) -> Iterator[Places]:
    """Yield some rows at a time, whose long cells can be in memory together."""
    group: Places = {}
    size = count = 0
    for row, marks_of in places.items():
        marks = [mark for marks in marks_of.values() for mark in marks]
        length = sum(mark.length for mark in marks)
        if group and (size + length > _MOST_BYTES or count + len(marks) > _MOST_MARKS):
            yield group
            group, size, count = {}, 0, 0
        group[row] = marks_of
        size, count = size + length, count + len(marks)
    if group:
        yield group


def _write_group(  # noqa: PLR0913, PLR0917
    engine: Engine,
    database: duckdb.DuckDBPyConnection,
    source: str,
    group: Places,
    long_cells: LongCells,
    target: Path,
) -> None:
    """Write some rows; each long cell is read from its own file."""
    by_column: dict[str, dict[str, Mark]] = {}
    for marks_of in group.values():
        for name, marks in marks_of.items():
            by_column.setdefault(name, {}).update((mark.text, mark) for mark in marks)
    contents: dict[str, Path] = {}
    replaced = []
    for name, by_text in by_column.items():
        column = sql = identifier(name)
        for text, mark in by_text.items():
            if text not in contents:
                contents[text] = target.with_name(f"content-{len(contents)}")
                with contents[text].open("w", encoding="utf-8", newline="") as file:
                    file.writelines(long_cells.texts(mark))
            content = f"x{[*contents].index(text)}.content"
            if name == RESCUED_DATA:
                sql = f"replace({sql}, {quoted(text)}, {content})"
            else:
                sql = f"CASE {column} WHEN {quoted(text)} THEN {content} ELSE {sql} END"
        replaced.append(f"{sql} AS {column}")
    size = sum(mark.length for by_text in by_column.values() for mark in by_text.values())
    engine.allow(size * _COPIES)
    # Joined, as a subquery holds its text twice more (measured).
    joined = "".join(
        f", (SELECT content FROM read_text({path_literal(path)})) AS x{at}"  # noqa: S608
        for at, path in enumerate(contents.values())
    )
    rows = ", ".join(map(str, group))
    database.execute(
        f"COPY (SELECT rows.* EXCLUDE (file_row_number) REPLACE ({', '.join(replaced)})"  # noqa: S608
        f" FROM (FROM {source} WHERE file_row_number IN ({rows})) AS rows{joined})"
        f" TO {quoted(str(target))} ({_FORMAT})"
    )
    for path in contents.values():
        path.unlink()
