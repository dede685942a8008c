"""A made-up cell for a column of the registry, right for its type and in the extracts' dialect."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import TYPE_CHECKING

from tap_autodesk_exports.sandbox.data.dialect import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_autodesk_exports.sandbox.data.registry import Table
    from tap_autodesk_exports.sandbox.data.rows import Row

    Maker = Callable[[Row], str | None]

_WORDS = (
    "anchor", "beam", "clash", "concrete", "corridor", "crane", "damper", "deck", "door", "drain",
    "duct", "façade", "fire", "floor", "gate", "girder", "grid", "joint", "lift", "lintel",
    "membrane", "mullion", "panel", "pipe", "plate", "pump", "ramp", "riser", "roof", "screed",
    "shaft", "slab", "sprinkler", "stair", "steel", "truss", "valve", "wall",
)  # fmt: skip
_MONEY = re.compile(
    r"amount|price|cost|total|paid|approved|committed|projected|forecast|variance|budget|value|"
    r"retention|released|billed|uncommitted|adjustment|exchange_rate|latitude|longitude"
)
_PERSON = re.compile(
    r"(_by|_by_id)$|^(owner|manager|assignee|creator|contact|assigned_to|responded|author|signed)"
)
_LONG = re.compile(r"description|comment|body|question|answer|response|note|text|instructions")
_OBJECT = re.compile(r"^(phone|extracted_form_data|custom_properties|next_action_candidates.*)$")
_LIST = re.compile(r"^(presets|ball_in_court.*)$")
_NULL_SHARE = 0.2
_EMPTY_SHARE = 0.1


def maker(table: Table, column: str) -> Maker:
    """Return the function that makes a cell of `column`, given the row that it is in."""
    kind = table.columns[column]
    required = column in table.key or column == table.replication_key
    if choices := options(table, column):
        made: Maker = lambda row: row.rng.choice(choices)  # noqa: E731
    elif kind == "string: UUID":
        made = _uuid
    elif kind == "timestamp: SQL":
        made = _instant
    elif kind == "date: string":
        made = lambda row: f"{_later(row):%Y-%m-%d}"  # noqa: E731
    elif kind == "time":
        made = lambda row: f"{row.rng.randrange(24):02}:{row.rng.randrange(60):02}:00"  # noqa: E731
    elif kind == "boolean":
        made = lambda row: row.rng.choice("tf")  # noqa: E731
    elif kind == "number":
        made = _money if _MONEY.search(column) else _count
    else:
        made = _text_maker(column)
    return made if required else _sometimes_null(made)


def options(table: Table, column: str) -> list[str]:
    """Return the documented values of a column; `1 - Required` means a cell `1` (observed)."""
    documented = table.enums.get(column, ())
    if len(documented) == 1:
        documented = tuple(documented[0].split(" / "))
    return [value.split(" - ")[0] if value[:1].isdigit() else value for value in documented]


def _sometimes_null(made: Maker) -> Maker:
    def nullable(row: Row) -> str | None:
        return None if row.rng.random() < _NULL_SHARE else made(row)

    return nullable


def _uuid(row: Row) -> str:
    digits = f"{row.rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _later(row: Row) -> dt.datetime:
    return row.created + dt.timedelta(days=row.rng.randrange(1, 90))


def _instant(row: Row) -> str:
    precision = row.rng.choice((1, 1_000, 10_000, 1_000_000))
    extra = row.rng.randrange(40 * 86_400_000_000 // precision) * precision
    begin = row.created.replace(microsecond=0)
    return timestamp(begin + dt.timedelta(microseconds=extra))


def _money(row: Row) -> str:
    rng = row.rng
    return rng.choice(
        ("0", f"{rng.randrange(1, 9000) * 100}", f"{rng.uniform(-500, 90_000):.2f}", "0.1")
    )


def _count(row: Row) -> str:
    return str(row.rng.randrange(0, 400))


def _text_maker(column: str) -> Maker:
    if _PERSON.search(column):
        return lambda row: row.person(row.rng).autodesk_id
    if column.endswith("email"):
        return lambda row: row.person(row.rng).email
    for pattern, made in _TEXTS:
        if pattern.search(column):
            return made
    return _label


def _words(row: Row, count: int) -> str:
    return " ".join(row.rng.choices(_WORDS, k=count))


def _label(row: Row) -> str:
    if row.rng.random() < _EMPTY_SHARE:
        return ""
    return f"{_words(row, 2).capitalize()} {row.rng.randrange(1, 99)}"


def _sentence(row: Row) -> str:
    """Return a text with what breaks naive readers: newlines, quotes, commas, a TAB in front."""
    text = _words(row, row.rng.randrange(3, 9)).capitalize()
    return row.rng.choice(
        (
            "",
            f"{text}.",
            f"{text}, see drawing.",
            f'Check "{_words(row, 1)}", then {text}.',
            f"{text}:\n- {_words(row, 2)}\n- {_words(row, 2)}",
            f"\t{text}",
        )
    )


def _object(row: Row) -> str:
    kind = row.rng.choice(("mobile", "office"))
    return json.dumps({"phoneType": kind, "number": "", "ext": _words(row, 1)})


_TEXTS: tuple[tuple[re.Pattern[str], Maker], ...] = (
    (_OBJECT, _object),
    (_LIST, lambda row: "{" + row.person(row.rng).autodesk_id + "}"),
    (re.compile(r"urn$"), lambda row: f"urn:adsk.wipprod:fs.file:vf.{_uuid(row)[:8]}?version=1"),
    (re.compile(r"(^|_)id$"), _uuid),
    (_LONG, _sentence),
)
