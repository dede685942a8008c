"""Which owners of exports, such as teams or contracts, a run reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tap_autodesk_exports.errors import TapError


@dataclasses.dataclass(frozen=True)
class Chosen:
    """What is read.

    Attributes:
        items: IDs or numbers, each once, however often it was listed.
        errors: Why each of the others cannot be read.
    """

    items: tuple[str, ...]
    errors: tuple[TapError, ...] = ()

    def __post_init__(self) -> None:
        """Leave out what comes again."""
        object.__setattr__(self, "items", tuple(dict.fromkeys(self.items)))


def named(
    wanted: Sequence[str],
    entries: Iterable[Any],
    key: str,
    sentence: Callable[[str, str], str],
) -> Chosen:
    """Return those of the settings, and an error for each that the API does not list.

    Args:
        wanted: Those of the settings.
        entries: What the API lists.
        key: Name of the ID in an entry.
        sentence: Takes one that is not listed, and those that are; returns what to say.
    """
    listed = {str(entry.get(key)) for entry in entries if isinstance(entry, Mapping)}
    seen = ", ".join(sorted(listed)) or "none at all"
    unlisted = dict.fromkeys(one for one in wanted if one not in listed)
    errors = tuple(ConfigurationError(sentence(one, seen)) for one in unlisted)
    return Chosen(tuple(one for one in wanted if one in listed), errors)
