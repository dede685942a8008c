"""Insights as an `ExportService`: how an export is requested, found, polled and fetched.

Not documented: when an export becomes EXPIRED (taken as: its files are gone), and whether `endDate`
is inclusive for USAGE, which is why windows end at the last millisecond.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.answers import read_each
from tap_autodesk_exports.autodesk.availability import of_one_export
from tap_autodesk_exports.autodesk.http import NotFound
from tap_autodesk_exports.autodesk.insights.client import Export
from tap_autodesk_exports.autodesk.shared_list import Freshness, ReadOnce, SharedList
from tap_autodesk_exports.clock import canonical, instant
from tap_autodesk_exports.exports.export import (
    YOUNG,
    ExportFile,
    ExportSpec,
    ExportStatus,
    FinishedExport,
    NoFiles,
    PendingExport,
    Status,
    known_status,
    status_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tap_autodesk_exports.autodesk.insights.client import Insights

POLLS = Freshness(first=0.5, lists=40, later=2.0)
"""No rate limit is documented; that many exports are running is no reason for more requests."""

KEPT = dt.timedelta(days=14)
"""How long the server keeps an export (documented: "Older exports are deleted")."""
DAY = dt.timedelta(days=1)
JITTER = dt.timedelta(seconds=30)
"""How far a clock may be off that is known by answers with a `Date` to the second."""
EXECUTED_WITHIN = dt.timedelta(minutes=10)
"""A request that was executed at all was executed so soon."""

STATUSES = {
    "SUBMITTED": Status.PENDING,
    "COMPLETED": Status.READY,
    "ERROR": Status.FAILED,
    "EXPIRED": Status.GONE,
}


class InsightsService:
    """Insights as an `ExportService`. An export's owner is a team ID, or empty for all teams."""

    name = Api.INSIGHTS.value
    attempts = 3
    longest_pause = 30.0
    kept = KEPT

    def __init__(self, insights: Insights, young: dt.timedelta = YOUNG) -> None:
        self._insights = insights
        self._young = young
        self._of_this_run: dict[str, set[str]] = defaultdict(set)
        self._moved: set[str] = set()
        self._all = ReadOnce(lambda _: _read(insights.exports()))
        self._listed = SharedList(lambda _: insights.newest_exports(), POLLS, insights.clock)

    def mark(self, pending: PendingExport) -> list[str]:
        """Note the exports that look like this one and may be as young, as dates are not echoed."""
        there = {
            export.export_id
            for export in _like(pending.spec, self._all.of(""))
            if self._is_of_the_moment(export, pending)
        }
        return sorted(there | self._of_this_run[_look(pending.spec)])

    def submit(self, pending: PendingExport) -> str:
        """POST the export."""
        spec = pending.spec
        body = dict(spec.body)
        if spec.owner:
            body["teamId"] = spec.owner
        if spec.start and spec.end:
            body |= {"startDate": _millisecond(spec.start), "endDate": _last_of(spec.end)}
        export_id = self._insights.create_export(body).export_id
        self._of_this_run[_look(spec)].add(export_id)
        return export_id

    def find_lost(self, pending: PendingExport, known: Sequence[str]) -> str | None:
        """Return the one export that looks like this one and was requested when it was."""
        marked = pending.mark if isinstance(pending.mark, list) else ()
        not_it = {*known, *map(str, marked), *self._of_this_run[_look(pending.spec)]}
        # One that a new export has moved to the next page is listed twice, with other links.
        found = {
            export.export_id
            for export in _like(pending.spec, self._since(pending))
            if export.export_id not in not_it and self._is_of_the_moment(export, pending)
        }
        # Two that look alike may differ in their dates: then neither is used.
        return found.pop() if len(found) == 1 else None

    def _is_of_the_moment(self, export: Export, pending: PendingExport) -> bool:
        """Tell whether an export may be the one that was requested at a certain moment."""
        at = instant(export.timestamp)
        since = self._since_when(pending)
        return at is not None and since <= at <= since + EXECUTED_WITHIN

    def _since_when(self, pending: PendingExport) -> dt.datetime:
        """Return the earliest moment of a request, by the server's clock."""
        asked_at = dt.datetime.fromisoformat(pending.asked_at)
        return self._insights.server_time.at(asked_at) - JITTER

    def _since(self, pending: PendingExport) -> Sequence[Export]:
        """Return the exports on the server now: all since a request, and maybe others.

        The newest come first in the documented example; where they do not, all pages are read.
        """
        newest = _read(self._insights.newest_exports())
        times = [at for export in newest if (at := instant(export.timestamp))]
        from_the_newest_on = times == sorted(times, reverse=True)
        if times and from_the_newest_on and times[-1] < self._since_when(pending):
            return newest
        return _read(self._insights.exports())

    def find_existing(self, wanted: PendingExport, known: Sequence[str]) -> PendingExport | None:
        """Return the newest export that looks like this one, if it is newer than what was loaded.

        Only of a report without dates: dates are not echoed, so others cannot be recognised.
        """
        if wanted.spec.start:
            return None
        time = self._insights.server_time
        alike = [
            (at, export)
            for export in _like(wanted.spec, self._all.of(""))
            if (at := instant(export.timestamp))
        ]
        for at, export in sorted(alike, key=lambda pair: pair[0], reverse=True):
            if export.export_id in wanted.loaded:
                return None
            status = known_status(export.status, STATUSES)
            longest = {Status.PENDING: DAY, Status.READY: self._young}
            if (
                export.export_id not in known
                and status in longest
                and time.age(at, at) < longest[status]
            ):
                asked_at = canonical(at - time.ahead)
                return dataclasses.replace(wanted, asked_at=asked_at, id=export.export_id)
        return None

    def poll(self, pending: PendingExport) -> ExportStatus:
        """GET the export, or the list that shows it.

        Raises:
            NotAvailable: The server refuses to show it.
            NoFiles: It is ready and names no file.
        """
        export_id = str(pending.id)
        self._of_this_run[_look(pending.spec)].add(export_id)
        listed = self._listed.listed("", "id", export_id)
        try:
            with of_one_export():
                export = _unready(listed) or self._insights.export(export_id)
        except NotFound:
            return ExportStatus(Status.GONE, "unknown to the server", export_id)
        state = status_of(export.status, STATUSES, pending)
        files = tuple(
            ExportFile(
                name=f"{download.kind or 'file'}-{number}", kind=download.kind, place=download.place
            )
            for number, download in enumerate(export.downloads)
        )
        if state is Status.READY and not files:
            msg = f"The {pending.spec.title} ({export_id}) is '{export.status}' and names no file."
            raise NoFiles(msg)
        return ExportStatus(state, export.status, export_id, export.timestamp, files)

    def retry(self, pending: PendingExport) -> bool:  # noqa: ARG002
        """Insights cannot make an export again under its ID."""
        return False

    def covers(self, pending: ExportSpec, wanted: ExportSpec) -> bool:
        """Tell whether both request the same reports with the same filters."""
        return pending.body == wanted.body

    def signed_link(self, finished: FinishedExport, file: ExportFile) -> str:
        """GET the export again: each answer holds new links."""
        with of_one_export(is_there=True):
            export = self._insights.export(finished.export_id)
            number = int(file.name.rpartition("-")[2])
            if all(file.place != download.place for download in export.downloads):
                self._moved.add(finished.export_id)
            return export.link(number, file.place, len(finished.files))

    def are_distinct(self, finished: FinishedExport) -> bool:
        """Tell whether each file of an export was surely fetched once, whatever their order.

        Else their places in the storage were others than before, so that only the order counted.
        """
        return finished.export_id not in self._moved


def _unready(entry: Mapping[str, Any] | None) -> Export | None:
    """Return what the list shows of an export, unless its files are there."""
    export = Export.read(entry) if entry else None
    # That the list shows the files as well is not documented.
    is_ready = export and known_status(export.status, STATUSES) is Status.READY
    return None if is_ready else export


def _read(entries: Iterable[Any]) -> Sequence[Export]:
    """Return the exports of a list that can be read; the others are none that this tap requests."""
    return read_each(entries, Export.read).items


def _like(spec: ExportSpec, exports: Iterable[Export]) -> list[Export]:
    """Return the exports that look like one that is wanted."""
    return [export for export in exports if _looks_like(export, spec)]


def _look(spec: ExportSpec) -> str:
    """Return what an export shows of itself, as a key."""
    return f"{spec.owner} {spec.body.get('outputFormat')} {spec.body.get('reports')}"


def _looks_like(export: Export, spec: ExportSpec) -> bool:
    return (
        sorted(export.reports) == sorted(spec.body.get("reports", ()))
        and export.output_format == spec.body.get("outputFormat")
        and export.team_id == spec.owner
    )


def _millisecond(canonical: str) -> str:
    """Return a canonical instant as the API's examples write it: `2024-09-01T00:00:00.000Z`."""
    return canonical[:23] + "Z"


def _last_of(canonical_end: str) -> str:
    """Return the last millisecond before an exclusive end."""
    end = dt.datetime.fromisoformat(canonical_end) - dt.timedelta(milliseconds=1)
    return _millisecond(end.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
