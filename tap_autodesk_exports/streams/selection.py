"""What Meltano selects, and whether the catalog is the one that it made for this run."""

from __future__ import annotations

import dataclasses
import fnmatch
import json
import os
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.settings.config import parse_object

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

VARIABLE = "MELTANO_EXTRACT__SELECT"
"""Meltano hands a plugin's `select` over in it; a definition's own is lost by `--from-ref`."""
EVERYTHING = ["*.*"]
"""Meltano's default."""
OVERWRITTEN = (
    "Where two runs share a Meltano project, each overwrites the catalog of the other: run one "
    "after the other, or give each its own system folder (`MELTANO_SYS_DIR_ROOT`)."
)


def is_meltanos_default() -> bool:
    """Tell whether everything is selected because the user's project selects nothing."""
    return bool(_selected() == EVERYTHING)


def given_patterns() -> list[str]:
    """Return the patterns by which the user's project selects; none for Meltano's default."""
    patterns = _selected()
    is_given = isinstance(patterns, list) and patterns != EVERYTHING
    return [str(pattern) for pattern in patterns] if is_given else []


def read_catalog(text: str, name: str) -> dict[str, Any]:
    """Read a catalog.

    Raises:
        ConfigurationError: It is no whole catalog, or that of another run of Meltano's.
    """
    if how := _damage(text):
        msg = f"The catalog {name} {how}. {OVERWRITTEN}"
        raise ConfigurationError(msg)
    catalog = parse_object(text, f"catalog {name}")
    if patterns := given_patterns():
        _check(catalog, Patterns(patterns), name)
    return catalog


def _damage(text: str) -> str | None:
    """Return what is wrong with a text that is no whole JSON, as the rest of a sentence."""
    if not text.strip():
        return "is empty"
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        return f"is cut off or damaged: it is not JSON ({error.msg} at {where})"
    except (ValueError, RecursionError):
        return None  # whole, and yet no catalog
    return None


def _check(catalog: dict[str, Any], patterns: Patterns, name: str) -> None:
    """Raise where a catalog selects what the user's project does not."""
    entries = catalog.get("streams")
    for entry in entries if isinstance(entries, list) else ():
        stream = str(entry.get("tap_stream_id")) if isinstance(entry, dict) else ""
        if stream and not patterns.names(stream) and _is_selected(entry):
            msg = (
                f"The catalog {name} selects '{stream}', and `select` of the project does not, so "
                f"it is not the catalog of this run. {OVERWRITTEN}"
            )
            raise ConfigurationError(msg)


def _is_selected(entry: dict[str, Any]) -> bool:
    nodes = entry.get("metadata")
    roots = [
        node["metadata"]
        for node in (nodes if isinstance(nodes, list) else ())
        if isinstance(node, dict)
        and not node.get("breadcrumb")
        and isinstance(node.get("metadata"), dict)
    ]
    return any(root.get("selected") is True for root in roots)


def _selected() -> Any:  # noqa: ANN401
    try:
        return json.loads(os.environ.get(VARIABLE, "null"))
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
