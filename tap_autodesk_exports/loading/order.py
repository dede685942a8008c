"""Which stream is loaded next: one whose exports are ready, so that none waits behind another."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from tap_autodesk_exports.exports.runner import Runner
    from tap_autodesk_exports.loading.dataset import Load
    from tap_autodesk_exports.loading.report import Stopwatch


class Order:
    """The order in which the streams of a run are loaded.

    Args:
        scheduled: Names of the streams that need exports.
        loads: Name of a stream -> its loads.
        runner: Makes the exports.
        stopwatch: Counts the time that is spent waiting.

    Attributes:
        coming: The stream whose file is being fetched already.
    """

    def __init__(
        self,
        scheduled: Collection[str],
        loads: Mapping[str, Sequence[Load]],
        runner: Runner,
        stopwatch: Stopwatch,
    ) -> None:
        self._scheduled = scheduled
        self._loads = loads
        self._runner = runner
        self._stopwatch = stopwatch
        self.coming: str | None = None

    def next_of(self, names: Sequence[str]) -> str:
        """Return which of some streams to load next: one that has nothing to wait for.

        The one whose file is being fetched, or else the first. Waits where there is none. What
        needs no export comes last: listings show the exports of this run too.
        """
        names = [name for name in names if name in self._scheduled] or names
        if (coming := self.coming) and coming in names and self.is_ready(coming):
            return coming
        while True:
            if ready := next(filter(self.is_ready, names), None):
                return ready
            with self._stopwatch.wait():
                awaited = [load.spec for name in names for load in self._awaited(name)]
                if not self._runner.wait_for_one(awaited):
                    return names[0]  # which finds that the run is being ended

    def ready_first(self, names: Iterable[str]) -> Iterator[str]:
        """Yield some streams in the order in which they would be loaded now."""
        waiting = []
        for name in names:
            if self.is_ready(name):
                yield name
            else:
                waiting.append(name)
        yield from waiting

    def is_ready(self, name: str) -> bool:
        """Tell whether no export of a stream is under way."""
        return next(self._awaited(name), None) is None

    def _awaited(self, name: str) -> Iterator[Load]:
        for load in self._loads.get(name, ()):
            if load.error is None and not self._runner.is_over(load.spec):
                yield load
