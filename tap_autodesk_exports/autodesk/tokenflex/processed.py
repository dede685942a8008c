"""Usage categories in which nothing was processed since the bookmark are not requested again.

`GET usage/:contract/last` says, by day, when something of a category was processed last. A day that
was over when it was seen stays as it was; the zone of the day is unknown, so one more day must have
passed. What was seen is in the bookmark under `processed`, and from which day on the stream was
read then under `read_from`: a longer look-back reads every category.

Only a category that is listed, in the documented spelling and with days that can be read, is ever
left out: what the list does not say is no news of it either way. Where the list has another
spelling beside the documented one, that may be of any category, and none is left out.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, cast

from tap_autodesk_exports.autodesk.tokenflex.contracts import is_other_spelling
from tap_autodesk_exports.clock import canonical, instant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tap_autodesk_exports.autodesk.tokenflex.contracts import Contracts
    from tap_autodesk_exports.autodesk.tokenflex.datasets import TokenFlexDataset
    from tap_autodesk_exports.exports.export import FinishedExport
    from tap_autodesk_exports.loading.dataset import Selected

DAY = dt.timedelta(days=1)


class Processed:
    """What was processed of each usage category.

    Args:
        contracts: Says what was used last.
        now: Returns the present instant.
    """

    def __init__(self, contracts: Contracts, now: Callable[[], dt.datetime]) -> None:
        self._contracts = contracts
        self._now = now
        self._requested: dict[tuple[str, str], dt.date] = {}
        self._reads_from: dict[tuple[str, str], str] = {}

    def with_news(
        self, selected: Selected, number: str, start: dt.datetime, categories: Sequence[str]
    ) -> tuple[str, ...]:
        """Return the usage categories to request from a start on; none where nothing is new."""
        dataset = cast("TokenFlexDataset", selected.dataset)
        partition = {"contract_number": number}
        state = selected.bookmarks.states.of(partition)
        is_loaded = selected.bookmarks.position(partition) is not None
        reads_from = self._reads_from[dataset.name, number] = canonical(start)
        seen = state.get("processed")
        if not (seen and is_loaded) or reads_from < (state.get("read_from") or ""):
            return tuple(categories)
        today = self._now().date()
        processed = self._processed(number, categories, today, today + DAY)
        return tuple(
            category
            for category in categories
            if category not in processed or processed[category] != seen.get(category)
        )

    def note_request(self, dataset: str, number: str, finished: FinishedExport) -> None:
        """Note on which day an export that was loaded was requested."""
        # An export that an earlier run had requested knows nothing of the days since.
        day = min(dt.date.fromisoformat(finished.pending.asked_at[:10]), self._now().date())
        key = (dataset, number)
        self._requested[key] = min(day, self._requested.get(key, day))

    def remember(
        self,
        dataset: str,
        number: str,
        categories: Sequence[str],
        end: str | None,
        state: dict[str, Any],
    ) -> None:
        """Note in the bookmark what was processed by the day on which the exports were requested.

        Args:
            dataset: Name of the dataset.
            number: The contract.
            categories: The usage categories of the dataset.
            end: End of its last export.
            state: The bookmark.
        """
        key = (dataset, number)
        if at := instant(end):
            requested = self._requested[key]
            state["processed"] = self._processed(number, categories, requested, at.date())
            state["read_from"] = self._reads_from[key]

    def _processed(
        self, number: str, categories: Sequence[str], seen: dt.date, end: dt.date
    ) -> dict[str, str]:
        """Return category -> what was used and processed last in it, where that is settled.

        Args:
            number: The contract.
            categories: The usage categories.
            seen: The day of the export.
            end: Its end: a category with usage from there on must be requested again.
        """
        settled = seen - DAY
        last = self._contracts.last(number)
        found: dict[str, str] = {}
        is_clear = last.is_whole and not any(
            is_other_spelling(entry.category) for entry in last.entries
        )
        for category in categories if is_clear else ():
            entries = [entry for entry in last.entries if entry.category == category]
            if entries and all(
                entry.used and entry.processed and entry.used < end and entry.processed < settled
                for entry in entries
            ):
                found[category] = "; ".join(sorted(str(entry) for entry in entries))
        return found
