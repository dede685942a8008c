"""A fourth API, made up here, is planned, loaded and resumed without Singer or Autodesk.

What a new API must bring is `WeatherSource`, its service and one dataset; all else is the run's.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from support.made_up_service import FastClock, MadeUpService
from tap_autodesk_exports.errors import Stopped, TapError
from tap_autodesk_exports.exports.export import ExportSpec, FinishedExport, Status
from tap_autodesk_exports.exports.ledger import Ledger
from tap_autodesk_exports.exports.runner import Runner
from tap_autodesk_exports.loading.bookmarks import DictStates
from tap_autodesk_exports.loading.dataset import Dataset, Load, Selected, Source
from tap_autodesk_exports.loading.loader import Loader
from tap_autodesk_exports.loading.prefetch import Prefetcher
from tap_autodesk_exports.loading.schedule import Schedule
from tap_autodesk_exports.loading.windows import months
from tap_autodesk_exports.tables.engine import Engine
from tap_autodesk_exports.tables.types import Type
from tap_autodesk_exports.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

PENDING, READY = Status.PENDING, Status.READY
START, END = FastClock().now().replace(month=1), FastClock().now().replace(month=3)

WEATHER = Dataset(
    name="weather_days",
    api="made-up",
    columns={"day": Type.DATE, "degrees": Type.NUMBER},
    constants={"station": Type.STRING},
    natural_key=("station", "day"),
    replication_key="day",
    is_dated=True,
)


class WeatherSource(Source):
    """Weather stations: an export for each station and month."""

    def __init__(self, service: MadeUpService, stations: Sequence[str] = ("north",)) -> None:
        self.service = service
        self.stations = stations
        self.fetched: list[str] = []
        self.released: list[str] = []

    def plan(self, selected: Sequence[Selected]) -> Mapping[str, list[Load] | TapError]:
        return {each.name: list(self._loads(each)) for each in selected}

    def _loads(self, selected: Selected) -> Iterator[Load]:
        for station in self.stations:
            partition = {"station": station}
            start = selected.bookmarks.position(partition) or START
            for month in months(start, END):
                spec = ExportSpec("made-up", station, selected.name, month.slot, {}, **month.dates)
                yield Load(spec, partition)

    def fetch(self, dataset: Dataset, finished: FinishedExport, folder: Path) -> Path:
        spec = finished.pending.spec
        self.fetched.append(f"{spec.owner} {spec.slot}")
        path = folder / f"{dataset.name}.csv"
        path.write_text(f"day,degrees\n{spec.slot}-01,-1.50\n{spec.slot}-02,\n")
        return path

    def constants(self, _: Dataset, finished: FinishedExport) -> dict[str, str | None]:
        return {"station": finished.pending.spec.owner}

    def release(self, spec: ExportSpec) -> None:
        self.released.append(spec.slot)


class Collected:
    """A sink that keeps what it gets."""

    def __init__(self, states: DictStates, ledger: Ledger) -> None:
        self.records: list[dict[str, Any]] = []
        self.failures: list[TapError] = []
        self.states: list[tuple[int, list[Any]]] = []
        self._bookmarks, self._ledger = states, ledger

    def rows(self, table, after) -> Iterator[dict[str, Any]]:
        self.records += table.records(["station", "day", "degrees", "_row_id"], after=after)
        return iter(())

    def constants(self) -> dict[str, Any]:
        return {}

    def begin_version(self, version: int) -> None: ...

    def activate_version(self) -> None:
        raise AssertionError

    def state(self) -> None:
        self.states.append((len(self.records), self._ledger.entries()))

    def fail(self, error: TapError) -> None:
        self.failures.append(error)


class Process:
    """One process that loads the weather: what it begins with, and what it leaves."""

    def __init__(self, source: WeatherSource, state: dict, pending: Sequence[dict] = ()) -> None:
        self.states = DictStates(state)
        self.saved: list[list[dict[str, Any]]] = []
        self.stop = threading.Event()
        self.ledger = Ledger(pending, threading.RLock(), self._save)
        self.sink = Collected(self.states, self.ledger)
        self.clock = FastClock()
        workspace = Workspace()
        runner = Runner(
            {"made-up": source.service},
            self.ledger,
            self.clock,
            self.stop,
            at_once=4,
            longest_pause=None,
            timeout=3600,
        )
        engine, prefetcher = Engine(workspace.path), Prefetcher(workspace)
        selected = Selected.whole(WEATHER, self.states)
        schedule = Schedule([selected], {"made-up": source}, runner, self.ledger, prefetcher)
        self.loader = Loader(selected, source, schedule, self.sink, engine)
        self._begin = schedule.begin
        self._closing = (prefetcher.close, runner.close, engine.close, workspace.close)

    def _save(self) -> None:
        self.saved.append(self.ledger.entries())

    def run(self) -> Collected:
        try:
            self._begin()
            list(self.loader.load())
        finally:
            for close in self._closing:
                close()
        return self.sink


def test_it_plans_loads_and_bookmarks():
    source = WeatherSource(MadeUpService([READY], [READY]))
    process = Process(source, {})
    sink = process.run()
    assert [(row["station"], str(row["day"]), row["degrees"]) for row in sink.records] == [
        ("north", "2026-01-01", pytest.approx(-1.5)),
        ("north", "2026-01-02", None),
        ("north", "2026-02-01", pytest.approx(-1.5)),
        ("north", "2026-02-02", None),
    ]
    assert len({row["_row_id"] for row in sink.records}) == 4
    assert process.states.state == {
        "partitions": [
            {
                "context": {"station": "north"},
                "identity": "_row_id 1; station; day:date",
                "start": "2026-01-01T00:00:00.000000Z",
                "columns": process.states.state["partitions"][0]["columns"],
                "taken_at": process.states.state["partitions"][0]["taken_at"],
                "replication_key": "day",
                "last_export_id": "export-2",
                "replication_key_value": "2026-03-01T00:00:00.000000Z",
            }
        ]
    }
    # A bookmark moves, and its export is forgotten, when the rows are sent, and not before.
    assert [(rows, len(pending)) for rows, pending in sink.states] == [(2, 1), (4, 0)]
    assert source.released == ["2026-01", "2026-02"]


def test_the_next_run_requests_only_what_is_new():
    source = WeatherSource(MadeUpService([READY], [READY]))
    first = Process(source, {})
    first.run()
    again = Process(source, first.states.state)
    assert again.run().records == []
    assert len(source.service.submitted) == 2


def test_a_killed_run_is_resumed_without_a_second_request():
    service = MadeUpService([PENDING], [PENDING])
    killed = Process(WeatherSource(service), {})
    killed.clock.wait = lambda *_: True  # ends in its first pause
    failures = killed.run().failures
    assert [type(failure) for failure in failures] == [Stopped]
    service._ends = [[READY], [READY]]
    resumed = Process(WeatherSource(service), killed.states.state, killed.saved[-1]).run()
    assert len(resumed.records) == 4
    assert len(service.submitted) == 2


def test_what_fails_fails_alone():
    source = WeatherSource(MadeUpService([READY], [READY], [READY], [READY]), ("north", "south"))

    def fetch(dataset, finished, folder) -> Path:
        if finished.pending.spec.owner == "north":
            message = "The station is snowed in."
            raise TapError(message)
        return WeatherSource.fetch(source, dataset, finished, folder)

    source.fetch = fetch
    sink = Process(source, {}).run()
    assert [str(failure) for failure in sink.failures] == ["The station is snowed in."]
    assert {row["station"] for row in sink.records} == {"south"}
    # Also of the month that was never reached, so that nothing of it stays on disk.
    assert sorted(source.released) == ["2026-01", "2026-01", "2026-02", "2026-02"]


def test_loading_needs_neither_singer_nor_autodesk():
    """The rooms are imported in a fresh interpreter, which then has no module of either."""
    import subprocess

    program = (
        "import sys; import tap_autodesk_exports.loading.loader, "
        "tap_autodesk_exports.loading.schedule; "
        "print([n for n in sys.modules if n.startswith(('singer_sdk', "
        "'tap_autodesk_exports.autodesk', 'tap_autodesk_exports.streams'))])"
    )
    said = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert said.strip() == "[]"
