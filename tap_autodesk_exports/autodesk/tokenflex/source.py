"""Token Flex in a run: which contracts, dates and usage categories to request."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import TYPE_CHECKING, Any, cast

from typing_extensions import override

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.answers import UnexpectedAnswer, read_each
from tap_autodesk_exports.autodesk.tokenflex.client import TITLE, ContractYear, TokenFlex
from tap_autodesk_exports.autodesk.tokenflex.contracts import Contracts
from tap_autodesk_exports.autodesk.tokenflex.processed import Processed
from tap_autodesk_exports.autodesk.tokenflex.service import TokenFlexService
from tap_autodesk_exports.clock import instant
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.exports.export import ExportSpec
from tap_autodesk_exports.files.convert import as_csv
from tap_autodesk_exports.loading.bookmarks import mark_of
from tap_autodesk_exports.loading.dataset import Load, Source
from tap_autodesk_exports.loading.windows import Window, day_start, years

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tap_autodesk_exports.autodesk.context import RunContext
    from tap_autodesk_exports.autodesk.tokenflex.datasets import TokenFlexDataset
    from tap_autodesk_exports.exports.export import FinishedExport
    from tap_autodesk_exports.loading.dataset import Dataset, Selected

DAY = dt.timedelta(days=1)
YEAR = dt.timedelta(days=365)
OTHERS = "other_categories"
"""Key of a bookmark: the usage categories that nobody documented and that are loaded."""


class TokenFlexSource(Source):
    """Token Flex as a `Source`: exports for each contract."""

    def __init__(self, context: RunContext) -> None:
        self.settings = context.settings
        self._context = context
        self.client = TokenFlex(context.api)
        self.service = TokenFlexService(self.client)
        self.now = context.earlier.now
        self.contracts = Contracts(self.client, context.settings, self.now)
        self._processed = Processed(self.contracts, self.now)
        self._plan: dict[str, list[Load]] = {}

    # Planned

    @override
    def plan(self, selected: Sequence[Selected]) -> Mapping[str, list[Load] | TapError]:
        """Name the exports of each dataset, contract by contract."""
        numbers = self.contracts.numbers
        for each in selected:
            chosen = [*numbers.items, *self._ended_since(each)]
            loads = [load for number in chosen for load in self._loads(each, number)]
            for at, error in enumerate(numbers.errors):
                loads.append(self._failed(each, f"unreadable {at}", error))
            self._plan[each.name] = loads
        return self._plan

    def _ended_since(self, selected: Selected) -> list[str]:
        """Return the contracts that ended after they were loaded last: their last days are left."""
        found = []
        for number, end in self.contracts.ended().items():
            loaded = selected.bookmarks.loaded(_partition(number, selected))
            at = instant(loaded.end or loaded.taken_at)
            if at and at < end:
                found.append(number)
        return found

    def _loads(self, selected: Selected, number: str) -> list[Load]:
        """Plan one contract; where that fails, it fails alone."""
        try:
            partition = _partition(number, selected)
            return [Load(spec, partition) for spec in self._specs(selected, number)]
        except TapError as error:
            return [self._failed(selected, number, error)]

    @staticmethod
    def _failed(selected: Selected, number: str, error: TapError) -> Load:
        spec = ExportSpec(Api.TOKENFLEX.value, number, selected.name)
        return Load(spec, _partition(number), error)

    def _specs(self, selected: Selected, number: str) -> Iterator[ExportSpec]:
        """Yield the exports of one contract, oldest first; of unknown usage categories last."""
        dataset = cast("TokenFlexDataset", selected.dataset)
        if not dataset.is_dated:
            yield self._spec(dataset, number, None, dataset.where)
            return
        start, end = self._period(selected, number)
        known = dataset.usage_category or ()
        with_news = self._processed.with_news(
            selected, number, start, [*known, *self._others(dataset, number)]
        )
        if wanted := [category for category in known if category in with_news]:
            yield from self._windows(selected, number, wanted, start, end)
        for category in self._others(dataset, number):
            if category in with_news:
                state = selected.bookmarks.states.of(_partition(number))
                since = self._start_of(category, state, start)
                yield from self._windows(selected, number, [category], since, end)

    def _others(self, dataset: TokenFlexDataset, number: str) -> tuple[str, ...]:
        """Return the usage categories of a contract that nobody documented."""
        return self.contracts.unknown_categories(number) if dataset.takes_other_categories else ()

    @staticmethod
    def _start_of(category: str, state: Mapping[str, Any], start: dt.datetime) -> dt.datetime:
        """Return from when on an unknown category is read: like the stream, where it is new."""
        if category in (state.get(OTHERS) or ()):
            return start
        return min(start, instant(state.get("start")) or start)

    def _windows(
        self,
        selected: Selected,
        number: str,
        categories: Sequence[str],
        start: dt.datetime,
        end: dt.datetime,
    ) -> Iterator[ExportSpec]:
        """Yield the exports of some usage categories."""
        dataset = cast("TokenFlexDataset", selected.dataset)
        wanted = dataclasses.replace(dataset, usage_category=tuple(categories))
        windows = (
            self._contract_years(number, start, end)
            if dataset.by_contract_year
            else ((window, _between(window)) for window in years(day_start(start), end))
        )
        is_other = not set(categories) <= set(dataset.usage_category or ())
        for window, where in windows:
            slot = f"{window.slot} {categories[0]}" if is_other else window.slot
            named = dataclasses.replace(window, slot=slot)
            yield self._spec(wanted, number, named, where)

    def _period(self, selected: Selected, number: str) -> tuple[dt.datetime, dt.datetime]:
        """Return what to read: from the bookmark less the look-back, or from the start date."""
        bookmark = selected.bookmarks.position(_partition(number))
        lookback = dt.timedelta(days=self.settings.lookback_days)
        start, end = self.settings.period(self.now(), bookmark, lookback)
        return selected.bookmarks.start(_partition(number), start), end

    def _contract_years(
        self, number: str, start: dt.datetime, end: dt.datetime
    ) -> Iterator[tuple[Window, str]]:
        """Yield whole contract years, because manual entries may come at any time for any day.

        Those within the period, and the one before, for which entries may still come. The first
        run reads it too: else the second one would read more than the first.
        """
        answered = self.client.contract(number).entries("contractYears")
        found = read_each(answered, ContractYear.read)
        if found.unreadable:
            raise found.unreadable[0]
        if not found.items:
            msg = f"{TITLE} answered contract {number} without contract years"
            raise UnexpectedAnswer(msg)
        since = start - YEAR
        # In which order they are answered is not documented, and a bookmark moves with each.
        for year in sorted(found.items, key=lambda year: year.start):
            begins, ends = year.start, year.end
            if begins < end and ends + DAY > since:
                window = Window(f"year {year.year}", begins, min(ends + DAY, end))
                yield window, f"contractYear={year.year}"

    @staticmethod
    def _spec(
        dataset: TokenFlexDataset, number: str, window: Window | None, where: str | None
    ) -> ExportSpec:
        """Return one export of a contract."""
        body: dict[str, Any] = {"fields": list(dataset.fields), "metrics": list(dataset.metrics)}
        if dataset.usage_category:
            body["usageCategory"] = list(dataset.usage_category)
        if where:
            body["where"] = where
        return ExportSpec(
            api=Api.TOKENFLEX.value,
            owner=number,
            name=dataset.name,
            slot=window.slot if window else "",
            body=body,
            **(window.dates if window else {}),
        )

    # Fetched

    @override
    def fetch(self, dataset: Dataset, finished: FinishedExport, folder: Path) -> Path | None:
        """Fetch the one file of an export."""
        fields = cast("TokenFlexDataset", dataset).fields
        path = self._context.downloader.fetch(self.service, finished, finished.files[0], folder)
        return as_csv(path, folder, expected=fields, rename=dataset.rename)

    @override
    def constants(self, dataset: Dataset, finished: FinishedExport) -> Mapping[str, str | None]:
        """Return the contract, which is in no file."""
        return {"contract_number": finished.pending.spec.owner}

    # Loaded

    @override
    def remember(
        self, dataset: Dataset, load: Load, finished: FinishedExport, state: dict[str, Any]
    ) -> None:
        """Note which usage categories were loaded, and what was processed, with the last load."""
        if not dataset.is_dated:
            return
        number = load.partition["contract_number"]
        declared = cast("TokenFlexDataset", dataset)
        of_contract = [
            each for each in self._plan[dataset.name] if each.partition == load.partition
        ]
        is_last = of_contract[-1] is load
        others = self._others(declared, number)
        if declared.takes_other_categories:
            _note_others(load, of_contract, others, state)
        self._processed.note_request(dataset.name, number, finished)
        if is_last:
            categories = [*(declared.usage_category or ()), *others]
            end = finished.pending.spec.end
            self._processed.remember(dataset.name, number, categories, end, state)


def _note_others(
    load: Load, of_contract: Sequence[Load], others: Sequence[str], state: dict[str, Any]
) -> None:
    """Keep in a bookmark which unknown usage categories are loaded up to where it is.

    As the bookmark moves with each export, one whose exports are still to come is none of them.
    """
    at = next(place for place, each in enumerate(of_contract) if each is load)
    to_come = {name for each in of_contract[at + 1 :] for name in _categories(each)}
    done = {name for each in of_contract[: at + 1] for name in _categories(each)}
    loaded = {*(state.get(OTHERS) or ()), *(done & {*others})} - to_come
    if loaded or OTHERS in state:
        state[OTHERS] = sorted(loaded)


def _categories(load: Load) -> Sequence[str]:
    found: Sequence[str] = load.spec.body.get("usageCategory", ())
    return found


def _partition(number: str, selected: Selected | None = None) -> dict[str, str]:
    """Return the context of a contract's bookmark.

    The bookmark of an export that the user defines says nothing of what another definition gives.
    """
    partition = {"contract_number": number}
    if selected and selected.bookmarks.replication.is_filtered:
        dataset = cast("TokenFlexDataset", selected.dataset)
        asked = (dataset.fields, dataset.metrics, dataset.usage_category, dataset.where)
        partition["definition"] = mark_of(json.dumps(asked))
    return partition


def _between(window: Window) -> str:
    """Return the condition for a window, whole days: the last one is included."""
    last = window.end - dt.timedelta(microseconds=1)
    after = last.date() + DAY
    return f"usageDate >= '{window.start:%Y-%m-%d}' and usageDate < '{after:%Y-%m-%d}'"
