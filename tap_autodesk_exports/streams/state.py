"""A Singer state as it came: what of it can be used. The rest is named, ignored, and harmless.

It may come from a newer release, from another tap, or out of a store that damaged it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

from tap_autodesk_exports.json_reading import read_json
from tap_autodesk_exports.settings.config import parse_object

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

DEEPEST = 400
"""Levels of a state that is read: what another program put there is passed on as it is."""
LONGEST_NUMBER = 1_000
"""Digits of a number in a state that is read; none that this tap writes has so many."""

State = dict[str, Any]


def read_state(text: str, what: str) -> State:
    """Return the state that a text holds; JSON that is no object is a state without anything.

    Args:
        text: The text.
        what: What it is, for a person.

    Raises:
        ConfigurationError: It is no JSON.
    """
    try:
        found = read_json(
            text.removeprefix("\ufeff"),
            deepest=DEEPEST,
            parse_int=_number,
            parse_float=_number,
            parse_constant=lambda _: None,
        )
    except ValueError:
        found = parse_object(text, what)  # says what is wrong with it
    if not isinstance(found, dict):
        logger.warning("The %s holds no JSON object and is ignored: all is loaded again.", what)
        return {}
    return found


def _number(text: str) -> int | float | None:
    """Return a number; None where nobody could read it in the next state."""
    if len(text) > LONGEST_NUMBER:
        return None
    try:
        return int(text)
    except ValueError:
        found = float(text)
        return found if math.isfinite(found) else None


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
