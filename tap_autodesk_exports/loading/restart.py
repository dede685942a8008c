"""Whether a dataset must start again, because the keys of its rows are made of something else."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from tap_autodesk_exports.clock import canonical, instant
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.loading.bookmarks import (
    LAST_EXPORT,
    REPLACES_ROWS,
    TAKEN,
    UNTIL,
    DictStates,
    all_of,
)
from tap_autodesk_exports.loading.identity import OWN_KEY, Identity, IdentityChanged

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tap_autodesk_exports.loading.bookmarks import Bookmarks, State, States
    from tap_autodesk_exports.loading.dataset import Load, Selected

logger = logging.getLogger("tap-autodesk-exports")

NOT_REPLACED = (
    "Its rows get other keys than before, and not all of them are there yet, so the old ones are "
    "not removed. The log says what is missing. Run again."
)
"""What is said where nothing has failed, and not all rows are there that replace a table."""


class CannotReplace(TapError):
    """Rows that have other keys than before can only be replaced together, and some are left out.

    Args:
        why: Which, as a clause.
    """

    def __init__(self, why: str) -> None:
        super().__init__(
            "Its rows get other keys than before, so the whole table must be replaced, but "
            f"{why}; so nothing is loaded. Make it part of the run again, or empty the table and "
            "run once without its state (`meltano run --full-refresh`)."
        )


def prepare(selected: Selected) -> IdentityChanged | None:
    """Compare what the keys of a dataset's rows are made of with what they were made of.

    Where they differ, the dataset starts again with a version that replaces the whole table.

    Returns:
        Why nothing of the dataset may be loaded; None where it may.
    """
    bookmarks, identity = selected.bookmarks, selected.identity
    reasons = (_why(identity, mark) for mark in bookmarks.identities())
    why = next(filter(None, reasons), None)
    if why is None and bookmarks.replacing and not selected.may_replace:
        why = "the version that replaces them is not complete"
    if why is None:
        return None
    if not selected.may_replace:
        return IdentityChanged(why)
    start = bookmarks.earliest_start()
    logger.warning(
        "%s: its rows get other keys than before, because %s. The whole table is loaded again%s as "
        "a new version, which replaces it when it is complete; rows that Autodesk no longer gives "
        "are removed then.",
        selected.name,
        why,
        f" from {start[:10]} on" if start else "",
    )
    note_rows(bookmarks)
    bookmarks.restart(time.time_ns() // 1_000_000, identity.mark_of_any())
    return None


def note_rows(bookmarks: Bookmarks) -> None:
    """Note of which partitions a new version replaces rows, before what was loaded is forgotten."""
    for state in all_of(bookmarks.states):
        still = bookmarks.replacing and state.get(REPLACES_ROWS)
        state[REPLACES_ROWS] = bool(still or bookmarks.has_rows(state.get("context") or {}))


def replaces_rows(states: States, owner: str) -> bool:
    """Tell whether a new version may replace rows of an owner; empty for those of all owners."""
    contexts = [each.get("context") or {} for each in all_of(states) if each.get(REPLACES_ROWS)]
    return any(not (owner and context) or owner in context.values() for context in contexts)


def forget(bookmark: State) -> None:
    """Forget what was loaded and where it started, but not from which exports, nor up to when.

    All that is loaded again comes from exports that are newer.
    """
    for state in all_of(DictStates(bookmark)):
        names = ("context", "partitions", TAKEN, REPLACES_ROWS)
        kept = {name: state[name] for name in names if name in state}
        kept[LAST_EXPORT] = state.get("export_id") or state.get(LAST_EXPORT)
        kept[UNTIL] = state.get("replication_key_value") or state.get(UNTIL)
        state.clear()
        state.update({name: value for name, value in kept.items() if value})


def replaces_until(states: States, owner: str, owners: Collection[str]) -> str:
    """Return up to where there may be rows that those of an owner replace; empty for nowhere.

    They may have been loaded in any parts of the owner's, or with the rows of all owners.

    Args:
        states: The bookmarks.
        owner: Whose rows; empty for those of all owners.
        owners: The owners of the run.
    """
    others = {*owners} - {owner} if owner else set()
    alike = [
        state
        for state in all_of(states)
        if others.isdisjoint((state.get("context") or {}).values())
    ]
    ends = (instant(str(each.get(UNTIL))) for each in alike)
    return max((canonical(end) for end in ends if end), default="")


def ends_early(selected: Selected, loads: Sequence[Load]) -> str | None:
    """Return which rows would be removed because what replaces them ends before they do.

    Unless that is what the dates of the settings say and a full refresh was asked for.
    """
    bookmarks = selected.bookmarks
    is_refreshed = bookmarks.earliest_start() is None
    last: dict[str, str] = {}
    for load in loads:
        if load.spec.end and (load.spec.existing or not is_refreshed):
            last[load.spec.owner] = max(load.spec.end, last.get(load.spec.owner, ""))
    owners = {load.spec.owner for load in loads}
    for owner, end in last.items():
        until = replaces_until(bookmarks.states, owner, owners)
        if not reaches(end, until):
            return f"its rows go up to {until}, and what is loaded to {end}"
    return None


def reaches(end: str | None, until: str) -> bool:
    """Tell whether an export ends where rows do that it replaces, or later, to the second.

    None where it has all there is.
    """
    return end is None or end[:19] >= until[:19]


def _why(identity: Identity, mark: str | None) -> str | None:
    if mark is not None:
        return identity.differs_from(mark)
    # Of an earlier release, which made `_row_id` of other columns.
    return None if identity.kind == OWN_KEY else "an earlier release of this tap made them"
