"""The kind of a value: all that a report says of it."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any

NULL = "null"
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d\d:\d\d:\d\d(\.\d+)?")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def kind_of(value: Any) -> str:  # noqa: ANN401
    """Return what a JSON value is, such as `text`, `date` or `list of text`."""
    match value:
        case None:
            return NULL
        case bool():
            return "boolean"
        case int() | float() | Decimal():
            return "number"
        case str():
            return kind_of_text(value)
        case list():
            kinds = sorted({kind_of(item) for item in value})
            return f"list of {' or '.join(kinds)}" if kinds else "empty list"
        case _:
            return "object"


def kind_of_text(text: str) -> str:
    """Return what a text is: empty, a date, a time, a date-time, a number, a boolean, or text."""
    if not text:
        return "empty text"
    if _DATE.fullmatch(text):
        return "date"
    if _TIME.fullmatch(text):
        return "time"
    if _NUMBER.fullmatch(text):
        return "number as text"
    if text.lower() in {"true", "false", "t", "f"}:
        return "boolean as text"
    return "date-time" if _is_date_time(text) else "text"


def _is_date_time(text: str) -> bool:
    if not _DATE.match(text):
        return False
    try:
        dt.datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError:
        return False
    return True


def form_of(text: str) -> str:
    """Return a date or time with every digit as 9, which shows how it is written and no value."""
    return re.sub(r"\d", "9", text)
