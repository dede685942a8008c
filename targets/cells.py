"""The cells that loaders get wrong: made-up tables that the sandbox serves as an extract.

Every column goes through all values of its type, row by row, and keys are unique.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

ROWS = 48
SHRUNKEN_ROWS = 31

TABLES = {
    "cost_main_contract_items": ("id",),
    "forms_native_form_tabular_values": ("native_form_value_id", "layout_table_column_id"),
    "forms_native_form_values": ("id",),
    "forms_weather_hours": ("bim360_project_id", "weather_id", "hour"),
    "issues_issues": ("issue_id",),
    "issues_comments": ("comment_id",),
}
"""Table -> columns that identify its rows. Together they have columns of every type."""
EMPTY_TABLE = "issues_comments"

VALUES: dict[str, tuple[str | None, ...]] = {
    "number": (
        None,
        "0",
        "1",
        "-1",
        "0.1",
        "1.50",
        "1234567890123456",
        "9007199254740993",
        "9223372036854775807",
        "99999999999999.99",
        "12345678901234567890.1234567891",
        "123456789012345678901234567890",
        "-0.000000000000000000000000000001",
        "2.5e-7",
        "1E+15",
        "about 12",
    ),
    "boolean": ("t", "f", None, "maybe"),
    "date-time": (
        None,
        "2026-02-12 04:42:48",
        "2026-02-12 04:42:48.123456",
        "2026-02-12 23:59:59.999999",
        "2026-03-29 02:30:00",
        "1970-01-01 00:00:00",
        "1899-12-31 12:00:00.5",
        "0001-01-01 00:00:00",
        "9999-12-31 23:59:59.999999",
        "next week",
    ),
    "date": (
        None,
        "2026-02-12",
        "2024-02-29",
        "1970-01-01",
        "1899-12-31",
        "0001-01-01",
        "9999-12-31",
        "2026-02-30",
    ),
    "time": (None, "13:05:00", "00:00:00", "23:59:59.999999", "07:30:15.5"),
    "string": (
        None,
        "",
        "Door 12 does not close",
        " blanks around ",
        "two\nlines",
        "a return\r\nand a tab\t.",
        "says \"yes\", and 'no'",
        "back\\slash, \\n, \\N and \\.",
        "Électricité 配管 😀 e\u0301",
        "null",
        "NULL",
        "None",
        "0012",
        "1.50",
        "true",
        "2026-02-12",
        '{"a": [1, "é"]}',
        "$$ %s :name ?",
        "x" * 16_000,
    ),
}
"""Of each type, cells as a file has them; the last of some fits no column of its type, and so goes
to `_rescued_data`."""

Schemas = dict[str, dict[str, Any]]


def kind(schema: Mapping[str, Any]) -> str:
    """Return the type of a column from its JSON schema: its format, or else its JSON type."""
    named: list[str] = [type_ for type_ in schema.get("type", ()) if type_ != "null"]
    return str(schema.get("format") or (named[0] if named else "string"))


def write_extract(folder: Path, schemas: Schemas, rows: Sequence[int], *, shift: int) -> None:
    """Write the tables as the CSV files of an extract.

    Args:
        folder: Where the files go.
        schemas: Stream -> its JSON schema, from the catalog.
        rows: Which rows each table has, but the empty one.
        shift: How far the cells of a row are moved on, so that the same keys have other cells.
    """
    for table, key in TABLES.items():
        kinds = {
            name: kind(schema)
            for name, schema in schemas[table]["properties"].items()
            if not name.startswith("_")
        }
        lines = _lines(kinds, key, () if table == EMPTY_TABLE else rows, shift)
        (folder / f"{table}.csv").write_bytes("".join(lines).encode("utf-8-sig"))


def write_plain(folder: Path, schemas: Schemas, table: str, rows: int) -> None:
    """Write one table with many rows of plain cells, as most of an export is."""
    kinds = {
        name: kind(schema)
        for name, schema in schemas[table]["properties"].items()
        if not name.startswith("_")
    }
    with (folder / f"{table}.csv").open("w", encoding="utf-8") as file:
        file.write(_line([*kinds]))
        for row in range(rows):
            cells = [
                _key_cell(type_, row) if name in TABLES[table] else _plain_cell(type_, row + at)
                for at, (name, type_) in enumerate(kinds.items())
            ]
            file.write(_line(cells))


def _plain_cell(type_: str, turn: int) -> str | None:
    match type_:
        case "number" | "integer":
            return f"{turn % 100_000}.25" if type_ == "number" else str(turn)
        case "boolean":
            return "tf"[turn % 2]
        case "date-time":
            return f"2026-02-{turn % 28 + 1:02} 04:{turn % 60:02}:48.123456"
        case _:
            return (None, "Concrete", str(uuid.UUID(int=turn)), f"Door {turn}")[turn % 4]


def _lines(
    kinds: Mapping[str, str], key: tuple[str, ...], rows: Sequence[int], shift: int
) -> Iterator[str]:
    yield _line([*kinds, "a_new_column"])
    for row in rows:
        cells = [
            _key_cell(type_, row) if name in key else _cell(type_, row + shift + at)
            for at, (name, type_) in enumerate(kinds.items())
        ]
        yield _line([*cells, "a column that the catalog does not know" if row % 8 == 0 else None])


def _cell(type_: str, turn: int) -> str | None:
    values = VALUES["number" if type_ == "integer" else type_ if type_ in VALUES else "string"]
    return values[turn % len(values)]


def _key_cell(type_: str, row: int) -> str:
    match type_:
        case "number" | "integer":
            return str(1234567890123450 + row)
        case "time":
            return f"{row % 24:02}:{row:02}:00"
        case _:
            return str(uuid.UUID(int=7919 * row + 1))


def _line(cells: list[str | None]) -> str:
    """Write a line: null is an empty field, and every text is quoted."""
    fields = ("" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in cells)
    return ",".join(fields) + "\n"
