"""What is selected, and how a part of it is selected: by Meltano's patterns, or in a catalog."""

from __future__ import annotations

import copy
import dataclasses
import fnmatch
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    Catalog = dict[str, Any]

EVERYTHING = ("*.*",)


@dataclasses.dataclass(frozen=True)
class Patterns:
    """Patterns of `stream.column` as Meltano's `select` has them; those with `!` take out."""

    given: Sequence[str] = EVERYTHING

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


def apply(patterns: Patterns, catalog: Catalog) -> Catalog:
    """Return a catalog in which what the patterns select is selected, and nothing else."""
    marked = copy.deepcopy(catalog)
    for entry in marked["streams"]:
        stream = entry["tap_stream_id"]
        for node in entry["metadata"]:
            column = node["breadcrumb"][-1] if node["breadcrumb"] else None
            node["metadata"]["selected"] = (
                patterns.has_stream(stream)
                if column is None
                else patterns.has_column(stream, column)
            )
    return marked


def part_of(catalog: Catalog, streams: Collection[str]) -> Catalog:
    """Return a catalog of some streams alone."""
    kept = [entry for entry in catalog["streams"] if entry["tap_stream_id"] in streams]
    return {**catalog, "streams": kept}
