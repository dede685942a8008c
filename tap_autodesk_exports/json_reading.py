"""JSON as it comes from elsewhere: whatever is wrong with it is one kind of error."""

from __future__ import annotations

import json
from typing import Any

DEEPEST = 100
"""Levels of lists and objects in one another. Nothing that this tap reads has ten; the libraries
that copy and write what was read fail at about a thousand."""


MOST_MEMORY = 420 << 20
"""Bytes of memory that a value may take, by an estimate. The longest answers hold a few million
values; 64 MB of brackets would take gigabytes."""
_COPIES = 5
"""How often a text is held in some form, from its bytes to the record."""
_COSTS = {",": 70, "[": 80, "{": 250}
"""Character -> bytes of memory for the value that it begins (measured)."""


class TooMuch(ValueError):
    """Its values would take too much memory."""

    def __init__(self) -> None:
        super().__init__(f"its values would take more than {MOST_MEMORY >> 20} MB of memory")


class TooDeep(ValueError):
    """Lists and objects are nested too deeply in one another."""

    def __init__(self) -> None:
        super().__init__("it is nested too deeply")


def read_json(text: str | bytes, *, deepest: int = DEEPEST, **hooks: Any) -> Any:  # noqa: ANN401
    """Return the value that a text is.

    Args:
        text: The text; bytes are UTF-8, UTF-16 or UTF-32.
        deepest: How many levels there may be.
        hooks: As for `json.loads`, such as `parse_float`.

    Raises:
        json.JSONDecodeError: It is no JSON. As the others, it is a ValueError.
        TooDeep: It is nested too deeply.
        TooMuch: It would take too much memory.
        ValueError: A number has thousands of digits, or the bytes are no text.
    """
    if _memory(text) > MOST_MEMORY:
        raise TooMuch
    try:
        value = json.loads(text, **hooks)
    except RecursionError:
        raise TooDeep from None
    if not _fits(value, deepest):
        raise TooDeep
    return value


def _memory(text: str | bytes) -> int:
    """Return about how many bytes of memory the values of a text take."""
    if isinstance(text, bytes):
        values = sum(text.count(mark.encode()) * cost for mark, cost in _COSTS.items())
    else:
        values = sum(text.count(mark) * cost for mark, cost in _COSTS.items())
    return len(text) * _COPIES + values


def _fits(value: Any, deepest: int) -> bool:  # noqa: ANN401
    """Tell whether a value has so few levels; one way down at a time, as a level may be large."""
    ways = [iter((value,))]
    while ways:
        for part in ways[-1]:
            if part and isinstance(part, (dict, list)):
                if len(ways) > deepest:
                    return False
                ways.append(iter(part.values() if isinstance(part, dict) else part))
                break
        else:
            ways.pop()
    return True
