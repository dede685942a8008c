"""Whose rows the exports of all teams have: kept in their bookmarks, because the teams change.

One export of all teams has one bookmark. A team that the user sees since is not loaded up to there,
and the rows of one that the user does not see any more are not gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.clock import canonical
from tap_autodesk_exports.loading.bookmarks import OWNERS, all_of
from tap_autodesk_exports.loading.dataset import NO_PART

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tap_autodesk_exports.autodesk.insights.client import Insights
    from tap_autodesk_exports.exports.export import FinishedExport
    from tap_autodesk_exports.loading.bookmarks import Bookmarks
    from tap_autodesk_exports.loading.dataset import Load

TEAM_ID = "team_id"
TEAMS = "teams"
"""Key of a bookmark: the teams that were read up to there. Its `owners` are all that ever were."""


class Covered:
    """The teams of a run, and those that bookmarks speak of.

    Args:
        insights: Has the clock by which exports are requested.
    """

    def __init__(self, insights: Insights) -> None:
        self._insights = insights
        self._teams: frozenset[str] = frozenset()
        self._begun = ""
        self._loads: Mapping[str, Sequence[Load]] = {}
        self._older: set[str] = set()

    def begin(self, teams: Iterable[str]) -> None:
        """Take note of the teams of the run."""
        self._teams = frozenset(teams)
        self._begun = canonical(self._insights.clock.now())

    def expect(self, plan: Mapping[str, Sequence[Load]]) -> None:
        """Take note of all loads of the run."""
        self._loads = plan

    def left_out(self, bookmarks: Bookmarks) -> str | None:
        """Return whose rows were loaded before and are no part of this run; None where all are."""
        missing = sorted({*_loaded(bookmarks)} - self._teams)
        return f"team_id {missing[0]} was loaded before and is {NO_PART}" if missing else None

    def has_new(self, bookmarks: Bookmarks, partition: Mapping[str, str]) -> bool:
        """Tell whether the bookmark of all teams does not speak of some of this run's."""
        if TEAM_ID in partition:
            return False
        state = bookmarks.states.of(partition)
        if state.get(TEAMS) is None:  # noted before an export is requested that may be resumed
            state[TEAMS] = sorted(self._teams)
        return not self._teams <= {*state[TEAMS]}

    def goes_beyond(
        self, bookmarks: Bookmarks, partition: Mapping[str, str], end: dt.datetime
    ) -> bool:
        """Tell whether rows of a partition's teams are loaded up to later than an end.

        They may have been loaded with those of all teams, one by one, or through another filter:
        the keys of the rows are the same. Rows of other teams alone say nothing.
        """
        wanted = {partition[TEAM_ID]} if TEAM_ID in partition else self._teams
        for state in all_of(bookmarks.states):
            context = state.get("context") or {}
            owners = [context[TEAM_ID]] if TEAM_ID in context else state.get(OWNERS) or wanted
            at = bookmarks.position(context)
            if at and at > end and not wanted.isdisjoint(owners):
                return True
        return False

    def remember(
        self, dataset: str, load: Load, finished: FinishedExport, state: dict[str, Any]
    ) -> None:
        """Note the teams in the bookmark of all: as read up to there with the last of the exports.

        Not where that ends before the bookmark, as an earlier end date has it, nor where one of
        them is of an earlier run, which may have seen other teams: then all of it is read again.
        """
        if TEAM_ID in load.partition:
            return
        if finished.pending.asked_at < self._begun:
            self._older.add(dataset)
        state[OWNERS] = sorted(self._teams.union(state.get(OWNERS) or ()))
        position, end = state.get("replication_key_value"), load.spec.end
        is_behind = bool(position and end and end < position)
        if self._loads[dataset][-1] is load and dataset not in self._older and not is_behind:
            state[TEAMS] = sorted(self._teams)


def _loaded(bookmarks: Bookmarks) -> Iterator[str]:
    """Yield the teams of which a target has rows."""
    own: list[Mapping[str, str]] = [{}] if bookmarks.has_rows({}) else []
    for context in (*own, *bookmarks.loaded_partitions()):
        if TEAM_ID in context:
            yield context[TEAM_ID]
        else:
            yield from bookmarks.states.of(context).get(OWNERS) or ()
