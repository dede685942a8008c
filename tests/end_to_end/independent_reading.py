"""A second opinion on what a served file means, with Python's csv module and no DuckDB.

Python's module does not tell an empty field from an empty string, so a scanner of a few lines finds
out which fields were quoted; every text it finds must be the one that the csv module finds.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

FIELD = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|\n|\r|\Z)')

Row = dict[str, Any]
RESCUED = "_rescued_data"


def rows(path: Path, types: Mapping[str, str]) -> list[Row]:
    """Read a CSV file as the catalog's types say.

    Args:
        path: The file, UTF-8 with or without a byte order mark.
        types: Column -> what the tap calls its type.

    Returns:
        A row for each record: a value for each column of `types`, null where the file has none or
        one that does not fit, and under `_rescued_data` the texts that did not fit and those of
        columns that `types` does not know.
    """
    lines = texts(path.read_bytes().decode("utf-8-sig"))
    header = next(lines)
    return [_typed(dict(zip(header, line, strict=True)), types) for line in lines]


def texts(document: str) -> Iterator[list[str | None]]:
    """Yield the records of a CSV document: None for an empty field, '' for an empty string."""
    scanned = _scanned(document)
    for expected in csv.reader(io.StringIO(document, newline=""), strict=True):
        found = next(scanned)
        assert [text or "" for text in found] == expected
        yield found
    assert next(scanned, None) is None


def _scanned(document: str) -> Iterator[list[str | None]]:
    at, record = 0, []
    while at < len(document):
        match = FIELD.match(document, at)
        assert match is not None, document[at : at + 80]
        quoted, plain, end = match.groups()
        record.append(quoted.replace('""', '"') if quoted is not None else plain or None)
        at = match.end()
        if end != ",":
            yield record
            record = []
    assert not record


def _typed(texts_of_row: Mapping[str | None, str | None], types: Mapping[str, str]) -> Row:
    row: Row = dict.fromkeys(types)
    rescued = {}
    for name, text in texts_of_row.items():
        if text is None or name is None:
            continue
        value = READERS[types[name]](text) if name in types else None
        if value is None:
            rescued[name] = text
        else:
            row[name] = value
    return {**row, RESCUED: rescued or None}


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _boolean(text: str) -> bool | None:
    return {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}.get(
        text.lower()
    )


def _instant(text: str) -> dt.datetime | None:
    """Read a timestamp; without a zone it is UTC, and so it is returned: without a zone, in UTC."""
    try:
        instant = dt.datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError:
        return None
    if instant.tzinfo is None:
        return instant
    return instant.astimezone(dt.UTC).replace(tzinfo=None)


def _parsed(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def reader(text: str) -> Any:
        try:
            return read(text)
        except ValueError:
            return None

    return reader


def _time_text(text: str) -> str | None:
    found = re.fullmatch(r"(?:[01]\d|2[0-3]):[0-5]\d(:[0-5]\d(?:\.\d{1,6})?)?", text, re.ASCII)
    return text + ("" if found[1] else ":00") if found else None


def _integer(text: str) -> Decimal | None:
    fits = re.fullmatch(r"0|-?[1-9]\d*", text, re.ASCII) and -(2**63) <= int(text) < 2**63
    return Decimal(text) if fits else None


READERS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "UUID": lambda text: text if len(text.encode()) <= 36 else None,
    "integer": _integer,
    "time as text": _time_text,
    "number": _number,
    "boolean": _boolean,
    "date": _parsed(dt.date.fromisoformat),
    "time": _parsed(dt.time.fromisoformat),
    "timestamp": _instant,
}
