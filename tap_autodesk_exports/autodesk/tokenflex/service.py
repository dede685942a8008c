"""Token Flex as an `ExportService`: how an export is requested, found, polled and fetched.

Inferred: the header of the CSV file holds the fields and then the metrics as they were requested.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.answers import read_each
from tap_autodesk_exports.autodesk.http import ApiError, NotFound
from tap_autodesk_exports.autodesk.shared_list import Freshness, SharedList
from tap_autodesk_exports.autodesk.tokenflex.client import Request
from tap_autodesk_exports.clock import canonical, instant
from tap_autodesk_exports.exports.export import (
    ExportFile,
    ExportSpec,
    ExportStatus,
    FinishedExport,
    PendingExport,
    QuotaUsedUp,
    Status,
    status_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from tap_autodesk_exports.autodesk.tokenflex.client import TokenFlex

POLLS = Freshness(first=1.0, lists=12, later=20.0)
"""All polls of a run must keep within five requests a minute, however many exports there are. The
first ones are part of the burst of 50, which with them is enough for twelve exports: each is
requested, polled by itself and given a link, once."""
TOO_MANY_REQUESTS = 429
DAY = dt.timedelta(days=1)

STATUSES = {
    "Requested": Status.PENDING,
    "Download": Status.READY,
    "Error": Status.FAILED,
}


class TokenFlexService:
    """Token Flex as an `ExportService`. An export's owner is a contract number."""

    name = Api.TOKENFLEX.value
    attempts = 3
    longest_pause = 60.0

    def __init__(self, tokenflex: TokenFlex) -> None:
        self._tokenflex = tokenflex
        self._listed = SharedList(self._newest, POLLS, tokenflex.clock)

    def mark(self, spec: ExportSpec) -> None:  # noqa: ARG002
        """Note nothing: the file name identifies this tap's exports."""
        return

    def submit(self, pending: PendingExport) -> str:
        """POST the export request."""
        body = {**pending.spec.body, "downloadFileName": _file_name(pending)}
        try:
            return self._tokenflex.create_request(pending.spec.owner, body).key
        except ApiError as error:
            if error.status != TOO_MANY_REQUESTS:
                raise
            raise QuotaUsedUp(str(error)) from None

    def find_lost(self, pending: PendingExport, known: Sequence[str]) -> str | None:
        """Return the request whose file name is the one that was sent."""
        day = dt.datetime.fromisoformat(pending.asked_at).date()
        entries = self._tokenflex.requests(pending.spec.owner, day - DAY, day + 2 * DAY)
        for request in _read(entries):
            name = request.file_name.removesuffix(".csv")
            if name == _file_name(pending) and request.key not in known:
                return request.key
        return None

    def find_running(self, spec: ExportSpec, known: Sequence[str]) -> PendingExport | None:
        """Return the request that is running and whose file name stands for the same content."""
        for request in _read(self._listed.of(spec.owner)):
            asked_at = instant(request.date)
            if (
                asked_at
                and request.file_name.startswith(f"{spec.name}-{spec.content}-")
                and STATUSES.get(request.status) is Status.PENDING
                and request.key not in known
            ):
                return PendingExport(spec, canonical(asked_at), id=request.key)
        return None

    def poll(self, pending: PendingExport) -> ExportStatus:
        """GET the export request, or the list that shows it."""
        key = str(pending.id)
        owner = pending.spec.owner
        try:
            listed = self._listed.listed(owner, "requestKey", key)
            request = Request.read(listed) if listed else self._tokenflex.request(owner, key)
        except NotFound:
            return ExportStatus(Status.GONE, "unknown to the server", key)
        return ExportStatus(
            status_of(request.status, STATUSES, pending),
            request.status,
            key,
            exported_at=request.date,
            files=(ExportFile(request.file_name),),
        )

    def _newest(self, contract: str) -> list[Any]:
        today = self._tokenflex.clock.now().date()
        return self._tokenflex.requests(contract, today - DAY, today + DAY)

    def retry(self, pending: PendingExport) -> bool:
        """POST retry: the export keeps its key."""
        self._tokenflex.retry(pending.spec.owner, str(pending.id))
        self._listed.forget(pending.spec.owner)  # the list shows its failure
        return True

    def covers(self, pending: ExportSpec, wanted: ExportSpec) -> bool:
        """Tell whether both ask for the same; the condition of a dated one holds its dates."""
        dates = {"where": None} if wanted.start else {}
        return {**pending.body, **dates} == {**wanted.body, **dates}

    def signed_link(self, finished: FinishedExport, file: ExportFile) -> str:  # noqa: ARG002
        """POST refreshUrl: a new link each time."""
        return self._tokenflex.refreshed_link(finished.pending.spec.owner, finished.export_id)


def _read(entries: Iterable[Any]) -> tuple[Request, ...]:
    """Return the requests of a list that can be read; the others are none of this tap's."""
    return read_each(entries, Request.read).items


def _file_name(pending: PendingExport) -> str:
    """Return a name that no other export has: what for, and the microsecond of the request."""
    moment = dt.datetime.fromisoformat(pending.asked_at)
    return f"{pending.spec.name}-{pending.spec.content}-{moment:%Y%m%dT%H%M%S%f}"
