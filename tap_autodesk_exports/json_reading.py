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
    level = [value]
    for _ in range(DEEPEST):
        level = [part for one in level for part in _parts(one) if isinstance(part, (dict, list))]
        if not level:
            return value
    raise TooDeep


def _parts(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
