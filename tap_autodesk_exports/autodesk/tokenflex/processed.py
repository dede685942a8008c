"""Usage categories in which nothing was processed since the bookmark are not requested again.

`GET usage/:contract/last` says, by day, when something of a category was processed last. A day that
was over when it was seen stays as it was; the zone of the day is unknown, so one more day must have
passed. What was seen is in the bookmark under `processed`, and from which day on the stream was
read then under `read_from`: a longer look-back reads every category.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, cast

from tap_autodesk_exports.clock import canonical, instant

if TYPE_CHECKING:
    from tap_autodesk_exports.autodesk.tokenflex.contracts import Contracts
    from tap_autodesk_exports.autodesk.tokenflex.datasets import TokenFlexDataset
    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.exports.export import FinishedExport
    from tap_autodesk_exports.loading.dataset import Dataset, Selected

DAY = dt.timedelta(days=1)


class Processed:
    """What was processed of each usage category.

    Args:
        contracts: Says what was used last.
        clock: Tells the time.
    """

    def __init__(self, contracts: Contracts, clock: Clock) -> None:
        self._contracts = contracts
        self._clock = clock
        self._requested: dict[tuple[str, str], dt.date] = {}
        self._reads_from: dict[tuple[str, str], str] = {}

    def to_request(self, selected: Selected, number: str, start: dt.datetime) -> tuple[str, ...]:
        """Return the usage categories to request from a start on; none where nothing is new."""
        dataset = cast("TokenFlexDataset", selected.dataset)
        partition = {"contract_number": number}
        state = selected.bookmarks.states.of(partition)
        is_loaded = selected.bookmarks.position(partition) is not None
        categories = dataset.usage_category or ()
        reads_from = self._reads_from[dataset.name, number] = canonical(start)
        seen = state.get("processed")
        if not (seen and is_loaded) or reads_from < state.get("read_from", ""):
            return categories
        today = self._clock.now().date()
        processed = self._processed(dataset, number, today, today + DAY)
        return tuple(
            category
            for category in categories
            if category not in seen or seen[category] != processed.get(category)
        )

    def remember(
        self,
        dataset: Dataset,
        number: str,
        finished: FinishedExport,
        state: dict[str, Any],
        *,
        is_last: bool,
    ) -> None:
        """Note in the bookmark what was processed by the day on which the exports were requested.

        Args:
            dataset: The dataset.
            number: The contract.
            finished: An export that was loaded.
            state: The bookmark.
            is_last: Whether it was the contract's last one.
        """
        key = (dataset.name, number)
        # An export that an earlier run had requested knows nothing of the days since.
        requested = dt.date.fromisoformat(finished.pending.asked_at[:10])
        self._requested[key] = min(requested, self._requested.get(key, requested))
        end = instant(finished.pending.spec.end)
        if end and is_last:
            wanted = cast("TokenFlexDataset", dataset)
            state["processed"] = self._processed(wanted, number, self._requested[key], end.date())
            state["read_from"] = self._reads_from[key]

    def _processed(
        self, dataset: TokenFlexDataset, number: str, seen: dt.date, end: dt.date
    ) -> dict[str, str]:
        """Return category -> what was used and processed last in it, where that is settled.

        Args:
            dataset: Whose categories.
            number: The contract.
            seen: The day of the export.
            end: Its end: a category with usage from there on must be requested again.
        """
        settled = (seen - DAY).isoformat()
        found: dict[str, str] = {}
        for category in dataset.usage_category or ():
            entries = sorted(
                last.entry for last in self._contracts.last(number) if last.category == category
            )
            if all(used < end.isoformat() and day < settled for _, used, day in entries):
                found[category] = "; ".join(" ".join(entry) for entry in entries)
        return found
