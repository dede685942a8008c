"""Hashed names inside a cell: a JSON text may hold, at any depth, what a column would hide."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.files.json_text import DECODER, Number, Object, compact

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_autodesk_exports.tables.hashing import Hashing

MAX_LENGTH = 4 << 20
"""Characters of a JSON text that is taken apart, which needs many times its size in memory."""
_ESCAPE = re.compile(r"\\+u(00[0-7][0-9a-f])", re.IGNORECASE)
"""A letter of ASCII as JSON may write it."""
_KEY = re.compile(r'"((?:[^"\\]|\\.)*+)"\s*:')


def may_hold_names(lines: bytes) -> bool:
    """Tell quickly whether some lines of CSV may hold a JSON object."""
    return b"{" in lines and re.search(rb'"\s*:', lines) is not None


def hash_nested(text: str, hashing: Hashing, is_hashed: Callable[[str], bool]) -> str:
    """Return a cell's text in which the values of hashed names are replaced.

    A text that is no JSON, or very long, is replaced as a whole if a hashed name is in it.

    Args:
        text: The cell.
        hashing: Gives the hashes.
        is_hashed: Tells whether a name is hashed.
    """
    if ":" not in text or '"' not in text:
        return text
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text).replace("\\", "")
    if not any(is_hashed(found[1]) for found in _KEY.finditer(plain)):
        return text
    if len(text) > MAX_LENGTH:
        return hashing.of(text)
    try:
        value, end = DECODER.raw_decode(text.strip())
        if end == len(text.strip()) and not isinstance(value, str):
            return compact(_hashed(value, hashing, is_hashed))
    except (ValueError, RecursionError):
        pass
    return hashing.of(text)


def _hashed(value: Any, hashing: Hashing, is_hashed: Callable[[str], bool]) -> Any:  # noqa: ANN401
    match value:
        case Object():
            return Object(
                (name, _replaced(member, hashing))
                if is_hashed(name)
                else (name, _hashed(member, hashing, is_hashed))
                for name, member in value
            )
        case list():
            return [_hashed(member, hashing, is_hashed) for member in value]
        case str() if not isinstance(value, Number):
            return hash_nested(value, hashing, is_hashed)
        case _:
            return value


def _replaced(value: Any, hashing: Hashing) -> Any:  # noqa: ANN401
    """Return a value of a hashed name, each text or number in it replaced by its hash."""
    match value:
        case Object():
            return Object((name, _replaced(member, hashing)) for name, member in value)
        case list():
            return [_replaced(member, hashing) for member in value]
        case None:
            return None
        case str():
            return hashing.of(str(value))
        case _:
            return hashing.of(compact(value))
