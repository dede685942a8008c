"""A state as it came: what of it can be used. The rest is named, ignored, and harmless.

It may come from a newer release, from another tap, or out of a store that damaged it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger("tap-autodesk-exports")

TEXTS = (
    "replication_key",
    "replication_key_value",
    "start",
    "export_id",
    "last_export_id",
    "columns",
    "read_from",
    "identity",
)
"""Keys of a bookmark that hold text."""

State = dict[str, Any]


def usable(state: Mapping[str, Any]) -> State:
    """Return a state with only what can be read, and warn of what cannot.

    Keys that this release does not know stay where they are.
    """
    problems: list[str] = []
    bookmarks = _object(state.get("bookmarks"), "bookmarks", problems)
    found = {
        **state,
        "bookmarks": {
            stream: _bookmark(_object(bookmark, f"bookmarks.{stream}", problems), stream, problems)
            for stream, bookmark in bookmarks.items()
        },
        "exports": _exports(state.get("exports"), problems),
    }
    if problems:
        logger.warning(
            "Parts of the state cannot be read and are ignored: %s. What they stood for is loaded "
            "again. Is it the state of another tap, or of a newer release?",
            ", ".join(problems),
        )
    return found


def _object(value: Any, where: str, problems: list[str]) -> State:  # noqa: ANN401
    if isinstance(value, Mapping):
        return dict(value)
    if value is not None:
        problems.append(where)
    return {}


def _bookmark(bookmark: State, where: str, problems: list[str]) -> State:
    """Return a bookmark without the values that cannot be what they should be."""
    wrong = [
        name
        for name, value in bookmark.items()
        if value is not None and not _fits(name, value) and name != "partitions"
    ]
    problems += [f"{where}.{name}" for name in wrong]
    kept = {name: value for name, value in bookmark.items() if name not in wrong}
    if "partitions" in kept:
        kept["partitions"] = _partitions(kept["partitions"], where, problems)
    return kept


def _fits(name: str, value: Any) -> bool:  # noqa: ANN401
    if name in TEXTS:
        return isinstance(value, str)
    if name == "processed":
        return isinstance(value, Mapping) and all(isinstance(text, str) for text in value.values())
    return True


def _partitions(partitions: Any, where: str, problems: list[str]) -> list[State]:  # noqa: ANN401
    if not isinstance(partitions, list):
        problems.append(f"{where}.partitions")
        return []
    found = []
    for number, partition in enumerate(partitions):
        is_one = isinstance(partition, Mapping) and isinstance(partition.get("context"), Mapping)
        if is_one:
            found.append(_bookmark(dict(partition), f"{where}.partitions.{number}", problems))
        else:
            problems.append(f"{where}.partitions.{number}")
    return found


def _exports(exports: Any, problems: list[str]) -> list[State]:  # noqa: ANN401
    """Return the pending exports that are objects; the ledger reads each."""
    if exports is None:
        return []
    if not isinstance(exports, list):
        problems.append("exports")
        return []
    problems += [f"exports.{at}" for at, one in enumerate(exports) if not isinstance(one, Mapping)]
    return [dict(one) for one in exports if isinstance(one, Mapping)]
