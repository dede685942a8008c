"""The rows of one load as Parquet files: checked, typed, and the same for every destination."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.destinations.layout import identifier, literal
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.tables import sql_value
from tap_autodesk_exports.tables.encoding import Encoding
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import IO

    from tap_autodesk_exports.destinations.layout import Layout
    from tap_autodesk_exports.tables.engine import Engine
    from tap_autodesk_exports.tables.numbers import ParquetNumbers
    from tap_autodesk_exports.tables.table import Table

ROWS = 1_000_000
"""Rows of a file; they are read one after another, so that their number does not matter."""


def of_table(table: Table, columns: Iterable[str], folder: Path) -> list[Path]:
    """Write the rows of a table.

    Args:
        table: The table; it is checked as a whole before this returns.
        columns: Names of the columns.
        folder: An empty folder.
    """

    def path(number: int) -> Path:
        return folder / f"{number}.parquet"

    def create(number: int) -> AbstractContextManager[IO[bytes]]:
        return path(number).open("wb")

    numbers = table.batches(create, list(columns), encoding=Encoding.PARQUET, rows_per_file=ROWS)
    return [path(number) for number in numbers]


def of_records(
    records: Iterable[Mapping[str, Any]],
    layout: Layout,
    numbers: ParquetNumbers,
    engine: Engine,
    folder: Path,
) -> tuple[list[Path], int]:
    """Write the records of a listing; of those with one key, the last counts.

    Args:
        records: The records, of the types that the listing declares.
        layout: The columns.
        numbers: How numbers are stored.
        engine: Writes the file.
        folder: An empty folder.

    Returns:
        The files, and the number of rows.

    Raises:
        TapError: A number has no room, a text is none, or a record is too large.
    """
    import duckdb  # noqa: PLC0415 - takes a third of a second

    key = [name for name, own in layout.names.items() if own in layout.key]
    rows = {tuple(record[name] for name in key): record for record in records}
    if not rows:
        return [], 0
    lines = folder / "records.jsonl"
    with lines.open("w", encoding="utf-8") as file:
        for record in rows.values():
            for name, type_ in layout.columns.items():
                if type_ is Type.NUMBER:
                    _check_exact(name, record.get(name), numbers)
            texts = {name: _text(record.get(name)) for name in layout.columns}
            try:
                file.write(json.dumps(texts, ensure_ascii=False) + "\n")
            except UnicodeEncodeError:
                msg = (
                    "A text of the list ends in half of a character, as one does that was cut "
                    "inside of an emoji, and nothing can keep it: correct it at Autodesk."
                )
                raise TapError(msg) from None
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in layout.columns)
    outputs = ", ".join(
        f"{sql_value(identifier(name), type_, numbers)} AS {identifier(name)}"
        for name, type_ in layout.columns.items()
    )
    path = folder / "records.parquet"
    database = engine.connection()
    try:
        database.execute(
            f"COPY (SELECT {outputs} FROM read_json({literal(str(lines))}, columns = {{{columns}}},"
            f" format = 'newline_delimited')) TO {literal(str(path))} (FORMAT parquet)"
        )
    except duckdb.Error as error:
        kind = type(error).__name__.removesuffix("Exception")
        msg = f"The list cannot be written ({kind} error): one of its records may be too large."
        raise TapError(msg) from None
    finally:
        database.close()
    return [path], len(rows)


def _check_exact(name: str, value: Any, numbers: ParquetNumbers) -> None:  # noqa: ANN401
    """Raise TapError where a number has no room in the type that all of its column share."""
    if value is None or not numbers.digits:
        return
    number = Decimal(value)
    # Not by calculating, which rounds to 28 digits.
    _, digits, exponent = number.as_tuple()
    zeros = len(digits) - len(bytes(digits).rstrip(b"\0"))
    fits = number.adjusted() < numbers.digits - numbers.scale
    if not number or (fits and -int(exponent) - zeros <= numbers.scale):
        return
    msg = (
        f"Column '{name}' holds a number that {numbers} cannot store without a change: set "
        "'parquet_numbers' to text, or to a decimal with enough digits."
    )
    raise TapError(msg)


_MOST_ZEROS = 100


def _text(value: Any) -> str | None:  # noqa: ANN401
    match value:
        case None | str():
            return value
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case Decimal():
            # Without an exponent, unless that took very many zeros: such a number stays text.
            return format(value, "f") if abs(value.adjusted()) < _MOST_ZEROS else str(value)
        case _:  # a list
            return json.dumps(value, ensure_ascii=False)
