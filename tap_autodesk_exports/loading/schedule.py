"""Every load of a run: planned once, in order, fetched ahead, and settled when it is over."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.exports.download import DownloadError
from tap_autodesk_exports.exports.export import Loaded, NoTable, NotUnderstood, QuotaUsedUp
from tap_autodesk_exports.loading.order import Order
from tap_autodesk_exports.loading.report import Stopwatch
from tap_autodesk_exports.loading.restart import CannotReplace, ends_early, prepare
from tap_autodesk_exports.redaction import trace

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tap_autodesk_exports.exports.export import FinishedExport
    from tap_autodesk_exports.exports.ledger import Ledger
    from tap_autodesk_exports.exports.runner import Runner
    from tap_autodesk_exports.loading.dataset import Load, Selected, Source
    from tap_autodesk_exports.loading.prefetch import Prefetcher

logger = logging.getLogger("tap-autodesk-exports")


class Schedule:
    """The loads of a run.

    Args:
        selected: What this run loads, in the order in which it is loaded where all is ready.
        sources: Name of an API -> where its exports come from.
        runner: Makes the exports.
        ledger: Where pending exports are noted.
        prefetcher: Fetches the file that is loaded next.
        check: Raises a TapError where an API cannot be used with the settings.
        fetch_ahead: Whether the next file is fetched while one is loaded.
        stopwatch: Counts the time that is spent waiting.
    """

    def __init__(  # noqa: PLR0913
        self,
        selected: Sequence[Selected],
        sources: Mapping[str, Source],
        runner: Runner,
        ledger: Ledger,
        prefetcher: Prefetcher,
        *,
        check: Callable[[str], None] = lambda _: None,
        fetch_ahead: bool = True,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        self._selected = {each.name: each for each in selected}
        self._sources = sources
        self._runner = runner
        self._ledger = ledger
        self._prefetcher = prefetcher
        self._check = check
        self._fetches_ahead = fetch_ahead
        self._stopwatch = stopwatch or Stopwatch()
        self._loads: dict[str, list[Load]] = {}
        self._failed: dict[str, TapError] = {}
        self._unsettled: Counter[str] = Counter()
        self._unfinished: Counter[str] = Counter()
        self._useless: set[str] = set()
        self._begun: set[str] = set()
        self._order = Order(self._selected, self._loads, runner, self._stopwatch)

    @property
    def lock(self) -> threading.RLock:
        """Held while a load is settled, until the STATE message that says so is written."""
        return self._ledger.lock

    # Planned and started

    def begin(self) -> None:
        """Plan each API by itself, then have all exports made side by side."""
        by_api: dict[str, list[Selected]] = {}
        for each in self._selected.values():
            if error := prepare(each):
                self._failed[each.name] = error
            else:
                by_api.setdefault(each.dataset.api, []).append(each)
        for api, selected in by_api.items():
            self._plan(api, selected)
        loaded: dict[str, list[Loaded]] = defaultdict(list)
        for name, each in self._selected.items():
            for load in self._loads.get(name, ()):
                self._unsettled[load.spec.key] += 1
                self._unfinished[load.spec.key] += 1
                loaded[load.spec.key].append(each.bookmarks.loaded(load.partition))
        for name in self._selected:
            for load in self._loads.get(name, ()):
                if load.error is None:
                    self._runner.start(load.spec, Loaded.of(loaded[load.spec.key]))

    def _plan(self, api: str, selected: Sequence[Selected]) -> None:
        """Plan one API; whatever goes wrong is the failure of this API's datasets alone."""
        try:
            self._check(api)
            plan = self._sources[api].plan(selected)
        except TapError as error:
            plan = dict.fromkeys((each.name for each in selected), error)
        except Exception as error:  # noqa: BLE001
            logger.error(  # noqa: TRY400
                "Planning the exports of %s failed unexpectedly\n%s", api, trace(error)
            )
            failure = TapError(
                f"The exports could not be planned ({type(error).__name__}); the log has the "
                "details. Run again; if it fails again, report it with the log."
            )
            plan = dict.fromkeys((each.name for each in selected), failure)
        for name, planned in plan.items():
            if isinstance(planned, TapError):
                self._failed[name] = planned
            elif hindrance := self._hinders(api, name, planned):
                self._failed[name] = hindrance
            else:
                self._loads[name] = planned

    def _hinders(self, api: str, name: str, loads: Sequence[Load]) -> TapError | None:
        """Return why a table cannot be replaced: what is left out would be there twice, or not."""
        selected = self._selected[name]
        if not selected.bookmarks.replacing:
            return None
        source = self._sources[api]
        why = source.left_out(selected, loads)
        if not (why or source.incomplete(selected.dataset)):
            why = ends_early(selected, loads)
        return CannotReplace(why) if why else None

    def loads_of(self, name: str) -> list[Load]:
        """Return what a dataset loads, oldest first.

        Raises:
            TapError: It could not be planned.
        """
        self._begun.add(name)
        if error := self._failed.get(name):
            raise error
        return self._loads.get(name, [])

    # Waited for

    def next_of(self, names: Sequence[str]) -> str:
        """Return which of some streams to load next, once there is one that need not wait."""
        return self._order.next_of(names)

    def result(self, name: str, load: Load) -> FinishedExport:
        """Wait for an export, or for the one that replaces it where no more are accepted.

        Raises:
            TapError: It failed, or is not finished yet.
        """
        if load.error:
            raise load.error
        try:
            with self._stopwatch.wait():
                return self._runner.result(load.spec)
        except QuotaUsedUp as error:
            dataset = self._selected[name].dataset
            other = self._sources[dataset.api].instead_of(dataset, load, error)
            if other is None:
                raise
            self._runner.start(other)
            with self._stopwatch.wait():
                return self._runner.result(other)

    def _ready(self, load: Load) -> FinishedExport | None:
        return None if load.error else self._runner.ready(load.spec)

    # Fetched

    @contextlib.contextmanager
    def file(self, name: str, load: Load, finished: FinishedExport) -> Iterator[Path | None]:
        """Give the file of a load, and remove it at the end; the next one is fetched meanwhile.

        None where the export has no rows for the dataset.

        Raises:
            TapError: It could not be fetched whole.
        """
        with contextlib.ExitStack() as kept:
            with self._stopwatch.wait():
                path = kept.enter_context(self._fetched(name, finished))
            self._fetch_next(name, load)
            yield path

    def _fetched(self, name: str, finished: FinishedExport) -> AbstractContextManager[Path | None]:
        return self._prefetcher.file(self._file_key(name, finished), self._fetch(name, finished))

    def _fetch_next(self, name: str, load: Load) -> None:
        """Start to fetch the file of the first later load that will be needed."""
        if not self._fetches_ahead:  # a dry run ends after a few records, and would leave it
            return
        for following, coming in self._after(name, load):
            if self._was_sent(following, coming):
                continue
            if finished := self._ready(coming):
                self._order.coming = following.name
                key = self._file_key(following.name, finished)
                self._prefetcher.start(key, self._fetch(following.name, finished))
            return

    def _after(self, name: str, load: Load) -> Iterator[tuple[Selected, Load]]:
        """Yield what comes after a load, in order: what is ready comes first."""
        mine = self._loads[name]
        at = next(at for at, each in enumerate(mine) if each is load)
        yield from ((self._selected[name], each) for each in mine[at + 1 :])
        others = [other for other in self._selected if other not in self._begun]
        for other in self._order.ready_first(others):
            yield from ((self._selected[other], each) for each in self._loads.get(other, ()))

    def _was_sent(self, selected: Selected, load: Load) -> bool:
        """Tell whether the rows of a load are known to have been sent before."""
        # A new version of a table is sent whole, where any part of it is new.
        others = self._loads[selected.name] if selected.has_versions else [load]
        for other in others:
            finished = self._ready(other)
            if finished is None or not selected.bookmarks.is_loaded(other.partition, finished):
                return False
        return True

    def _fetch(self, name: str, finished: FinishedExport) -> Callable[[Path], Path | None]:
        dataset = self._selected[name].dataset
        return functools.partial(self._sources[dataset.api].fetch, dataset, finished)

    @staticmethod
    def _file_key(name: str, finished: FinishedExport) -> str:
        return f"{name} {finished.export_id}"

    def discard(self, name: str, finished: FinishedExport) -> None:
        """Forget a damaged file, so that it is fetched again."""
        self._prefetcher.wait()  # nothing else may be using what is discarded
        dataset = self._selected[name].dataset
        self._sources[dataset.api].damaged(dataset, finished)

    def another(self, load: Load, finished: FinishedExport, error: TapError) -> FinishedExport:
        """Return an export in place of one of an earlier run that turned out to be of no use.

        Raises:
            TapError: `error`, where it is not the export's fault, or where this run requested it.
        """
        is_of_the_export = not isinstance(error, DownloadError) or error.is_answer
        if not is_of_the_export:
            raise error
        if finished.pending.spec.existing:
            # The next run chooses another one, unless this one may be of use then.
            if not isinstance(error, (NotUnderstood, NoTable)):
                self._runner.give_up(finished.pending.spec)
            raise error
        other = self._runner.another(load.spec, finished, error)
        if other is None:
            raise error
        logger.warning("%s It was requested again (%s).", error, other.export_id)
        return other

    # Over

    def settle(self, load: Load) -> None:
        """Note that an export is not pending for a load any more; with the last one, drop it."""
        key = load.spec.key
        self._unsettled[key] -= 1
        if self._unsettled[key]:
            return
        if key in self._useless:
            self._runner.give_up(load.spec)
        else:
            self._ledger.drop(key)

    def give_up(self, load: Load) -> None:
        """Note that an export has no file for a load that can be used, and never will have."""
        self._useless.add(load.spec.key)
        self.settle(load)

    def finish(self, load: Load) -> None:
        """Note that a load is over, whether it went well or not; called once for each.

        With the last load of an export, what is kept of its files is removed.
        """
        key = load.spec.key
        self._unfinished[key] -= 1
        if not self._unfinished[key]:
            self._sources[load.spec.api].release(load.spec)
