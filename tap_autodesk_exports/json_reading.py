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
        super().__init__(f"it is nested more than {DEEPEST} levels deep")


def read_json(text: str | bytes, **hooks: Any) -> Any:  # noqa: ANN401
    """Return the value that a text is.

    Args:
        text: The text; bytes are UTF-8, UTF-16 or UTF-32.
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
    _check_depth(value)
    return value


def _check_depth(value: Any) -> None:  # noqa: ANN401
    """Raise TooDeep; one way down at a time, as a list of all that is at one level may be large."""
    ways = [iter((value,))]
    while ways:
        for part in ways[-1]:
            if part and isinstance(part, (dict, list)):
                if len(ways) > DEEPEST:
                    raise TooDeep
                ways.append(iter(part.values() if isinstance(part, dict) else part))
                break
        else:
            ways.pop()
