"""What Meltano selects: by patterns, or everything where the user selects nothing."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.json_reading import read_json

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

VARIABLE = "MELTANO_EXTRACT__SELECT"
"""Meltano hands a plugin's `select` over in it; a definition's own is lost by `--from-ref`."""
EVERYTHING = ["*.*"]
"""Meltano's default."""


def is_meltanos_default() -> bool:
    """Tell whether everything is selected because the user's project selects nothing."""
    return bool(_selected() == EVERYTHING)


def given_patterns() -> list[str]:
    """Return the patterns by which the user's project selects; none for Meltano's default."""
    patterns = _selected()
    is_given = isinstance(patterns, list) and patterns != EVERYTHING
    return [str(pattern) for pattern in patterns] if is_given else []


def unused_maps(maps: Mapping[str, Any], streams: Collection[str]) -> list[str]:
    """Return the names in setting `stream_maps` that are of no stream."""
    sources = {
        name: each["__source__"] if isinstance(each, dict) and "__source__" in each else name
        for name, each in maps.items()
        if name != "__else__"
    }
    return [name for name, source in sources.items() if not fnmatch.filter(streams, str(source))]


def _selected() -> Any:  # noqa: ANN401
    try:
        return read_json(os.environ.get(VARIABLE, "null"))
    except ValueError:
        return None


@dataclasses.dataclass(frozen=True)
class Patterns:
    """Patterns of `stream.column` as Meltano's `select` has them; those with `!` take out."""

    given: Sequence[str] = tuple(EVERYTHING)

    @property
    def _wanted(self) -> list[str]:
        return [pattern for pattern in self.given if not pattern.startswith("!")]

    @property
    def _unwanted(self) -> list[str]:
        return [pattern[1:] for pattern in self.given if pattern.startswith("!")]

    def has_stream(self, stream: str) -> bool:
        """Tell whether a stream is selected."""
        if any(_matches(pattern, stream, "*") for pattern in self._unwanted):
            return False
        return self.names(stream)

    def names(self, stream: str) -> bool:
        """Tell whether a pattern names a stream, whatever others take out."""
        return any(fnmatch.fnmatchcase(stream, _parts(each)[0]) for each in self._wanted)

    def has_column(self, stream: str, column: str) -> bool:
        """Tell whether a column of a selected stream is selected."""
        if any(_matches(pattern, stream, column) for pattern in self._unwanted):
            return False
        return any(_matches(pattern, stream, column) for pattern in self._wanted)

    def of(self, streams: Collection[str]) -> list[str]:
        """Return the patterns that select these streams alone, with the same columns."""
        chosen = [
            f"{stream}.{_parts(pattern)[1]}"
            for stream in streams
            for pattern in self._wanted
            if fnmatch.fnmatchcase(stream, _parts(pattern)[0])
        ]
        columns = [f"!{each}" for each in self._unwanted if _parts(each)[1] != "*"]
        return [*dict.fromkeys(chosen), *columns]


def _parts(pattern: str) -> tuple[str, str]:
    stream, _, column = pattern.partition(".")
    return stream, column or "*"


def _matches(pattern: str, stream: str, column: str) -> bool:
    of_stream, of_column = _parts(pattern)
    if column == "*":
        return of_column == "*" and fnmatch.fnmatchcase(stream, of_stream)
    return fnmatch.fnmatchcase(stream, of_stream) and fnmatch.fnmatchcase(column, of_column)
