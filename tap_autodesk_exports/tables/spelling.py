"""Names of columns in any spelling: teamAlias, Team Alias, TEAM_ALIAS and team_alias are one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_NAME = re.compile(r"(?!(?:.*\d){4})[A-Za-z_][\w ()%./-]{0,63}", re.ASCII)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W_A-Z0-9]+|[0-9]+")


def snake_case(name: str) -> str:
    """Return a name in small letters, with an underscore between its words."""
    return "_".join(_WORDS.findall(name)).lower()


def is_name(text: str) -> bool:
    """Tell whether a cell of a header looks like a column's name, and not like a value.

    A damaged file may have values there: of its first row, of a row that is joined to the header.
    """
    return _NAME.fullmatch(text.strip("\ufeff\u200b\xa0 \t\r\n")) is not None


def same_letters(name: str) -> str:
    """Return what all spellings of a name have in common."""
    return re.sub(r"[\W_]+", "", name).casefold()


def any_spelling(columns: Iterable[str]) -> Callable[[str], str]:
    """Return a `rename` that finds a column under any spelling of its name.

    Args:
        columns: Names of columns. Of two that differ in their spelling only, neither is found in
            any but its own.
    """
    exact = set(columns)
    found: dict[str, str | None] = {}
    for name in exact:
        letters = same_letters(name)
        found[letters] = None if letters in found else name

    def rename(header: str) -> str:
        return header if header in exact else found.get(same_letters(header)) or header

    return rename
