"""JSON as it comes from elsewhere: whatever is wrong with it is one kind of error."""

from __future__ import annotations

import json
from typing import Any

DEEPEST = 100
"""Levels of lists and objects in one another. Nothing that this tap reads has ten; the libraries
that copy and write what was read fail at about a thousand."""


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
        ValueError: A number has thousands of digits, or the bytes are no text.
    """
    try:
        value = json.loads(text, **hooks)
    except RecursionError:
        raise TooDeep from None
    if not _fits(value, deepest):
        raise TooDeep
    return value


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
