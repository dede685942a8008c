"""What a store made of the cells: each is compared with the tap's message, changes get a name."""

from __future__ import annotations

import ast
import datetime as dt
import json
import re
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import cells
from messages import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from messages import Row, Table
    from stores import Tables

EXACT, CHANGED = "exact", "changed"
ASPECTS = {
    **dict.fromkeys(("number", "integer"), "digits"),
    **dict.fromkeys(("date-time", "date", "time"), "times"),
    **dict.fromkeys(("object", "array"), "json"),
    "boolean": "booleans",
    "string": "text",
}
"""Type of a column -> what its cells try."""
NULLS = "nulls"
ESCAPED = str.maketrans({"\n": "\\n", "\r": "\\r", "\t": "\\t"})


@dataclass
class Finding:
    """What became of a load.

    Attributes:
        rows: Rows that should be there.
        missing: Of these, how many are not.
        surplus: Rows that should not be there.
        doubled: Rows whose key is there already.
        absent: Tables that are not there.
        cells: What cells try -> what became of a cell -> how many.
        examples: What cells try and what became of one -> such a cell.
    """

    rows: int = 0
    missing: int = 0
    surplus: int = 0
    doubled: int = 0
    absent: list[str] = field(default_factory=list)
    cells: dict[str, dict[str, int]] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)


def judge(expected: Mapping[str, Table], stored: Tables, without: Collection[str] = ()) -> Finding:
    """Compare a store with what should be in it.

    Args:
        expected: The tables as the messages say.
        stored: The tables as they are read, with names in small letters.
        without: Columns that are left out.
    """
    finding = Finding()
    for name, table in expected.items():
        if name not in stored:
            finding.absent.append(name)
        found: dict[tuple[str, ...], Row] = {}
        for row in stored.get(name, []):
            small = {column.lower(): value for column, value in row.items()}
            key = key_of({part: small.get(part.lower()) for part in table.key}, table.key)
            finding.doubled += key in found
            found[key] = small
        finding.rows += len(table.rows)
        finding.surplus += len(found.keys() - table.rows.keys())
        finding.missing += len(table.rows.keys() - found.keys())
        for key in table.rows.keys() & found.keys():
            for column, schema in table.schema.items():
                if column not in without:
                    cell = table.rows[key].get(column), found[key].get(column.lower())
                    _note(finding, f"{name}.{column}", schema, *cell)
    return finding


def _note(
    finding: Finding, name: str, schema: Mapping[str, Any], expected: object, stored: object
) -> None:
    aspect, verdict = judge_cell(schema, expected, stored)
    counts = finding.cells.setdefault(aspect, {})
    counts[verdict] = counts.get(verdict, 0) + 1
    if verdict != EXACT:
        example = f"{name}: {expected!r:.60} -> {stored!r:.60}"
        finding.examples.setdefault(f"{aspect}: {verdict}", example)


def judge_cell(schema: Mapping[str, Any], expected: object, stored: object) -> tuple[str, str]:
    """Compare a cell.

    Args:
        schema: The column's JSON schema.
        expected: The value that the tap sent.
        stored: The value that the store gives.

    Returns:
        What the cell tries, and what became of it: `exact`, or words for the change.
    """
    type_ = cells.kind(schema)
    if expected is None:
        return NULLS, EXACT if stored is None else f"null → {_shown(stored)}"
    if expected == "":
        return NULLS, EXACT if stored == "" else f'`""` → {_shown(stored)}'
    aspect = ASPECTS.get(type_, "text")
    if stored is None:
        return aspect, "null"
    compare: dict[str, Callable[[Any, Any], str]] = {
        "digits": _number,
        "times": lambda moment, found: _time(type_, moment, found),
        "json": _json,
        "booleans": _boolean,
        "text": _text,
    }
    return aspect, compare[aspect](expected, stored)


def _shown(stored: object) -> str:
    return "null" if stored is None else f"`{json.dumps(stored, default=str)}`"


def _number(expected: int | Decimal, stored: object) -> str:
    try:
        found = Decimal(str(stored))
    except InvalidOperation:
        return CHANGED
    if found == expected:
        return "as text" if isinstance(stored, str) else EXACT
    return "rounded to a double" if float(found) == float(expected) else CHANGED


def _boolean(expected: bool, stored: object) -> str:  # noqa: FBT001 - a value
    if isinstance(stored, bool):
        return EXACT if stored is expected else CHANGED
    if stored in {0, 1}:
        return "as 0 and 1" if stored == int(expected) else CHANGED
    return "as text" if str(stored).lower() == str(expected).lower() else CHANGED


def _time(type_: str, expected: str, stored: object) -> str:
    """Compare moments: one without a zone is UTC."""
    change = ""
    if isinstance(stored, str):
        try:
            stored, change = _moment(type_, stored), "as text"
        except ValueError:
            return CHANGED
    elif type_ == "date" and isinstance(stored, dt.datetime):
        stored, change = stored.date(), "date as timestamp"
    elif isinstance(stored, dt.datetime):
        change = "without zone" if stored.tzinfo is None else ""
        stored = _in_utc(stored)
    wanted = _moment(type_, expected)
    if stored == wanted:
        return change or EXACT
    return _cut(wanted, stored) or CHANGED


def _cut(wanted: object, stored: object) -> str:
    """Name the resolution that a moment was cut to, if that is its only change."""
    if isinstance(wanted, dt.datetime | dt.time):
        micro = wanted.microsecond
        if stored == wanted.replace(microsecond=micro // 1000 * 1000):
            return "cut to milliseconds"
        if stored == wanted.replace(microsecond=0):
            return "cut to seconds"
    return ""


def _moment(type_: str, text: str) -> dt.datetime | dt.date | dt.time:
    text = re.sub(r"([+-]\d\d)$", r"\1:00", text)
    if type_ == "time":
        return dt.time.fromisoformat(text).replace(tzinfo=None)
    moment = _in_utc(dt.datetime.fromisoformat(text))
    return moment.date() if type_ == "date" else moment


def _in_utc(moment: dt.datetime) -> dt.datetime:
    """Return a moment in UTC, without a zone; years 1 and 9999 have no room for a conversion."""
    return moment.replace(tzinfo=None) - (moment.utcoffset() or dt.timedelta())


def _json(expected: object, stored: object) -> str:
    if not isinstance(stored, str):
        return EXACT if stored == expected else CHANGED
    try:
        return EXACT if json.loads(stored, parse_float=Decimal) == expected else CHANGED
    except ValueError:
        pass
    try:
        return "Python's repr" if ast.literal_eval(stored) == expected else CHANGED
    except (ValueError, SyntaxError):
        return CHANGED


def _text(expected: str, stored: object) -> str:
    if stored == expected:
        return EXACT
    changes = {
        "blanks trimmed": expected.strip(),
        "newlines → the two characters `\\n`": expected.translate(ESCAPED),
        "line ends changed": expected.replace("\r\n", "\n"),
    }
    return next((name for name, text in changes.items() if text == stored), CHANGED)
