"""Calls what a run calls, once, and looks at the answers and files."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.context import RunContext
from tap_autodesk_exports.autodesk.http import ApiContext, ApiError
from tap_autodesk_exports.autodesk.sources import SOURCES
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.exports.download import Downloader
from tap_autodesk_exports.exports.ledger import Ledger
from tap_autodesk_exports.exports.runner import Runner
from tap_autodesk_exports.loading.bookmarks import DictStates
from tap_autodesk_exports.loading.dataset import Dataset, Load, Selected, Source
from tap_autodesk_exports.redaction import Redaction
from tap_autodesk_exports.shapes import differences
from tap_autodesk_exports.shapes.files import FileShape, members, shape_of
from tap_autodesk_exports.shapes.observer import Observer
from tap_autodesk_exports.signin import SignIn
from tap_autodesk_exports.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.exports.export import FinishedExport
    from tap_autodesk_exports.settings import Settings

DAYS = dt.timedelta(days=14)
"""How far back dated exports reach: a small one shows its columns as well as a large one."""
_TABLE = re.compile(r"(?!(?:.*\d){4})(?P<name>(?P<group>[a-z0-9]+)_[a-z0-9_]{1,63})\.csv")
LARGEST_ZIP = 1 << 30
"""Bytes of a ZIP that is downloaded for the headers of its tables."""


@dataclasses.dataclass
class Visit:
    """What was seen.

    Attributes:
        observer: The shapes of the answers.
        files: Name of a dataset and file -> its shape.
        differences: How answers and files differ from what this release expects.
        failures: What could not be looked at, as status codes and kinds of errors.
    """

    observer: Observer = dataclasses.field(default_factory=Observer)
    files: dict[str, FileShape] = dataclasses.field(default_factory=dict)
    differences: list[str] = dataclasses.field(default_factory=list)
    failures: list[str] = dataclasses.field(default_factory=list)

    @contextlib.contextmanager
    def tolerating(self, what: str) -> Iterator[None]:
        """Note a failure without its sentence, which may name an ID."""
        try:
            yield
        except TapError as error:
            status = f" {error.status}" if isinstance(error, ApiError) and error.status else ""
            self.failures.append(f"{what}: {type(error).__name__}{status}")

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON."""
        shapes = sorted(self.observer.shapes.items())
        return {
            "differences": self.differences,
            "failures": self.failures,
            "endpoints": {name: shape.as_json() for name, shape in shapes},
            "files": {name: shape.as_json() for name, shape in sorted(self.files.items())},
        }


def visit(settings: Settings, clock: Clock, *, with_exports: bool, minutes: float) -> Visit:
    """Look at all APIs of the settings.

    Args:
        settings: The settings.
        clock: Tells the time and waits.
        with_exports: Whether a small export of each kind is requested where that is needed.
        minutes: How long to wait for an export.

    Raises:
        ConfigurationError: The credentials are incomplete or contradict one another.
    """
    seen = Visit()
    sign_in = SignIn.from_settings(settings, clock)
    Redaction(sign_in.secrets).guard()
    settings = dataclasses.replace(settings, start_date=clock.now() - DAYS, end_date=None)
    workspace = Workspace()
    try:
        for api in settings.apis:
            context = ApiContext(
                settings.api_url,
                sign_in,
                clock,
                threading.Event(),
                seen.observer.for_api(api),
                settings.request_timeout_seconds,
            )
            visitor = _Visitor(seen, api, settings, context, workspace)
            visitor.lists()
            if with_exports:
                visitor.exports(minutes)
    finally:
        workspace.close()
    for name, shape in sorted(seen.observer.shapes.items()):
        called, _, endpoint = name.partition(" ")
        expected = SOURCES[Api(called)].expected.get(endpoint)
        seen.differences += differences.of_endpoint(name, shape, expected)
    return seen


class _Visitor:
    """Looks at one API."""

    def __init__(
        self, seen: Visit, api: Api, settings: Settings, context: ApiContext, workspace: Workspace
    ) -> None:
        self._seen = seen
        self._api = api
        self._settings = settings
        self._context = context
        self._workspace = workspace
        self._downloader = Downloader(context.clock, context.stop, api_url=settings.api_url)
        self._ledger = Ledger([], threading.RLock(), lambda: None)
        self._entry = SOURCES[api]
        self._source: Source = self._entry.source(
            RunContext(settings, context, self._downloader, self._ledger, workspace)
        )

    def lists(self) -> None:
        """Read every listing."""
        for listing in self._entry.listings:
            with self._seen.tolerating(listing.name):
                for entry in listing.read(self._source):
                    if isinstance(entry, TapError):
                        with self._seen.tolerating(listing.name):
                            raise entry

    def exports(self, minutes: float) -> None:
        """Make an export of each dataset, as few as possible, and look at its files."""
        datasets = [
            dataset
            for dataset in self._entry.datasets(self._settings, None)
            if dataset.selected_by_default
        ]
        with self._seen.tolerating(f"{self._api} exports"):
            loads = self._plan(datasets)
            runner = Runner(
                {self._source.service.name: self._source.service},
                self._ledger,
                self._context.clock,
                self._context.stop,
                at_once=self._settings.max_concurrent_exports,
                longest_pause=self._settings.poll_interval_seconds,
                timeout=minutes * 60,
            )
            try:
                self._look(runner, loads)
            finally:
                runner.close()

    def _plan(self, datasets: Sequence[Dataset]) -> dict[str, list[tuple[Dataset, Load]]]:
        """Return key of an export -> the datasets that are looked at in it."""
        plan = self._source.plan([Selected.whole(each, DictStates({})) for each in datasets])
        found: dict[str, list[tuple[Dataset, Load]]] = {}
        for dataset in datasets:
            planned = plan.get(dataset.name, [])
            if isinstance(planned, TapError):
                with self._seen.tolerating(dataset.name):
                    raise planned
            elif usable := [load for load in planned if load.error is None]:
                # The oldest: a month that has just begun may hold no rows yet.
                found.setdefault(usable[0].spec.key, []).append((dataset, usable[0]))
        return found

    def _look(self, runner: Runner, plan: dict[str, list[tuple[Dataset, Load]]]) -> None:
        for served in plan.values():
            runner.start(served[0][1].spec)
        for served in plan.values():
            dataset, load = served[0]
            with self._seen.tolerating(f"export for {dataset.name}"):
                finished = runner.result(load.spec)
                with self._workspace.folder() as folder:
                    self._files(finished, [each for each, _ in served], Path(folder))

    def _files(self, finished: FinishedExport, datasets: list[Dataset], folder: Path) -> None:
        by_file = {f"{dataset.name}.csv": dataset for dataset in datasets}
        self._unknown_tables(finished, {each.partition("_")[0] for each in by_file})
        archive = next((file for file in finished.files if file.name.endswith(".zip")), None)
        if archive and len(finished.files) > 1 and (archive.size or 0) <= LARGEST_ZIP:
            path = self._downloader.fetch(self._source.service, finished, archive, folder)
            there = set()
            for file in members(path, folder, by_file):
                there.add(file.name)
                self._note(file.name, file, by_file[file.name], folder)
            self._seen.differences += [
                f"{name}: is not in the extract" for name in by_file if name not in there
            ]
            return
        without_rows = {dataset.name for dataset in datasets}
        for number, each in enumerate(finished.files):
            dataset = by_file.get(each.name) or (datasets[0] if len(datasets) == 1 else None)
            if dataset:
                into = folder / str(number)
                into.mkdir()
                path = self._downloader.fetch(self._source.service, finished, each, into)
                if self._note(f"{dataset.name} file {number + 1}", path, dataset, into):
                    without_rows.discard(dataset.name)
        self._seen.differences += [f"{name}: no file has its columns" for name in without_rows]

    def _unknown_tables(self, finished: FinishedExport, groups: Collection[str]) -> None:
        """Note the tables of an export, beside others of their group, that have no stream."""
        known = {each.name for each in self._entry.datasets(self._settings, None)}
        for file in finished.files:
            found = _TABLE.fullmatch(file.name)
            if found and found["group"] in groups and found["name"] not in known:
                self._seen.differences.append(f"{file.name}: unknown table")

    def _note(self, name: str, path: Path, dataset: Dataset, folder: Path) -> bool:
        """Note a file; tell whether it is the table, and no file beside it."""
        is_json = self._api is Api.INSIGHTS and self._settings.insights_output_format == "JSON"
        shape = shape_of(path, folder, set(dataset.columns), dataset.rename, json=is_json)
        self._seen.files[name] = shape
        if dataset.rename is not str and not shape.problem:
            matching = {dataset.rename(column) for column in shape.columns} & set(dataset.columns)
            if not matching:
                return False  # a file beside the table, such as the one with a report's filters
        optional = self._entry.optional_columns.get(dataset.name, ())
        self._seen.differences += differences.of_file(name, shape, dataset, optional)
        return True
