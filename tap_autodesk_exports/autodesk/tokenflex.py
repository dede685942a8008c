"""Token Flex Usage Data API v1, as documented.

Documented: the endpoints, statuses Requested, Download and Error, keys that hold `:` and `#`,
`refreshUrl` and `retry`, 5 requests a minute measured over 8 hours with one burst of 50 in a
minute, at most 50 open exports a user. Inferred: the header of the CSV file holds the fields and
then the metrics as they were asked for.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.http import ApiClient, ApiContext, ApiError, NotFound
from tap_autodesk_exports.autodesk.shared import Freshness, SharedList
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
    from collections.abc import Sequence

LIMITS = ((50, 60.0), (2400, 8 * 3600.0))
LOOKS = Freshness(first=1.0, lists=12, later=20.0)
"""All looks of a run must keep within five requests a minute, however many exports there are. The
first ones are part of the burst of 50, which with them is enough for twelve exports: each is asked
for, looked at by itself and given a link, once."""
TOO_MANY_REQUESTS = 429

STATUSES = {
    "Requested": Status.PENDING,
    "Download": Status.READY,
    "Error": Status.FAILED,
}

CAUSES_OF_403 = (
    (
        "the user who signed in is no contract manager, software coordinator or team admin of the "
        "contract"
    ),
    "the contract number is not one of this user's: see stream 'tokenflex_contracts'",
    (
        "a two-legged client that Autodesk has not tied to an admin, or a tied one that is used "
        "three-legged"
    ),
)


class TokenFlex:
    """The endpoints that this tap calls."""

    def __init__(self, context: ApiContext) -> None:
        self.clock = context.clock
        self.http = ApiClient(
            api=Api.TOKENFLEX,
            title="Token Flex",
            path="/tokenflex/v1",
            causes_of_403=CAUSES_OF_403,
            limits=LIMITS,
            context=context,
        )

    def contracts(self) -> list[dict[str, Any]]:
        """GET /contract: the contracts of the user; empty for one without a role."""
        return list(self.http.get("/contract") or ())

    def contract(self, number: str) -> dict[str, Any]:
        """GET /contract/:n: one contract with its years. A snapshot, not the sum of the usage."""
        found: dict[str, Any] = self.http.get(f"/contract/{quote(number, safe='')}")
        return found

    def enrichment(self, number: str) -> list[str]:
        """GET /contract/:n/enrichment: ten labels; the positions are customField1 to 10."""
        return list(self.http.get(f"/contract/{quote(number, safe='')}/enrichment") or ())

    def summary(self, number: str) -> list[dict[str, Any]]:
        """GET /usage/:n/summary: tokens by month, with the older names of usage categories."""
        return list(self.http.get(f"/usage/{quote(number, safe='')}/summary") or ())

    def last(self, number: str) -> list[dict[str, Any]]:
        """GET /usage/:n/last: the days up to which usage was seen and processed."""
        return list(self.http.get(f"/usage/{quote(number, safe='')}/last") or ())

    def requests(self, number: str, start: dt.date, end: dt.date) -> list[dict[str, Any]]:
        """GET /export/:n/requests: the exports asked for from `start` until before `end`."""
        return list(
            self.http.get(
                self._path(number),
                {"fromDate": start.isoformat(), "toDate": end.isoformat()},
            )
            or ()
        )

    def request(self, number: str, key: str) -> dict[str, Any]:
        """GET /export/:n/requests/:key."""
        found: dict[str, Any] = self.http.get(self._path(number, key))
        return found

    def create_request(self, number: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST /export/:n/requests."""
        created: dict[str, Any] = self.http.post(self._path(number), body)
        return created

    def retry(self, number: str, key: str) -> None:
        """POST …/retry: an export in Error becomes Requested again; else nothing happens."""
        self.http.post(self._path(number, key, "retry"), repeatable=True)

    def refresh_url(self, number: str, key: str) -> dict[str, Any]:
        """POST …/refreshUrl: the request with a new link."""
        refreshed: dict[str, Any] = self.http.post(
            self._path(number, key, "refreshUrl"), repeatable=True
        )
        return refreshed

    @staticmethod
    def _path(number: str, *parts: str) -> str:
        return "/".join(
            (
                f"/export/{quote(number, safe='')}/requests",
                *(quote(part, safe="") for part in parts),
            )
        )


class TokenFlexExports:
    """Token Flex as an `ExportService`. An export's owner is a contract number."""

    name = Api.TOKENFLEX.value
    attempts = 3
    longest_pause = 60.0

    def __init__(self, tokenflex: TokenFlex) -> None:
        self._tokenflex = tokenflex
        self._requests = SharedList(self._newest, LOOKS, tokenflex.clock)

    def mark(self, spec: ExportSpec) -> None:  # noqa: ARG002
        """Note nothing: the file name tells this tap's exports apart."""
        return

    def submit(self, pending: PendingExport) -> str:
        """POST the export request."""
        body = {**pending.spec.body, "downloadFileName": _file_name(pending)}
        try:
            return str(self._tokenflex.create_request(pending.spec.owner, body)["requestKey"])
        except ApiError as error:
            if error.status != TOO_MANY_REQUESTS:
                raise
            raise QuotaUsedUp(str(error)) from None

    def find_lost(self, pending: PendingExport, known: Sequence[str]) -> str | None:
        """Return the request whose file name is the one that was asked for."""
        day = dt.datetime.fromisoformat(pending.asked_at).date()
        around = (day - dt.timedelta(days=1), day + dt.timedelta(days=2))
        for request in self._tokenflex.requests(pending.spec.owner, *around):
            name = str(request.get("downloadFileName", "")).removesuffix(".csv")
            if name == _file_name(pending) and request["requestKey"] not in known:
                return str(request["requestKey"])
        return None

    def find_running(self, spec: ExportSpec, known: Sequence[str]) -> PendingExport | None:
        """Return the request that is being made and whose file name tells the same content."""
        for request in self._requests.of(spec.owner):
            asked_at = instant(request.get("exportRequestDate"))
            begin = f"{spec.name}-{spec.content}-"
            if (
                asked_at
                and str(request.get("downloadFileName")).startswith(begin)
                and STATUSES.get(str(request.get("requestStatus"))) is Status.PENDING
                and request["requestKey"] not in known
            ):
                return PendingExport(spec, canonical(asked_at), id=str(request["requestKey"]))
        return None

    def poll(self, pending: PendingExport) -> ExportStatus:
        """GET the export request, or the list that tells of it."""
        key = str(pending.id)
        owner = pending.spec.owner
        try:
            listed = self._requests.listed(owner, "requestKey", key)
            request = listed or self._tokenflex.request(owner, key)
        except NotFound:
            return ExportStatus(Status.GONE, "unknown to the server", key)
        said = str(request.get("requestStatus"))
        status = status_of(said, STATUSES, pending)
        return ExportStatus(
            status,
            said,
            key,
            exported_at=request.get("exportRequestDate"),
            files=(ExportFile(str(request.get("downloadFileName"))),),
        )

    def _newest(self, contract: str) -> list[dict[str, Any]]:
        today, day = self._tokenflex.clock.now().date(), dt.timedelta(days=1)
        return self._tokenflex.requests(contract, today - day, today + day)

    def retry(self, pending: PendingExport) -> bool:
        """POST retry: the export keeps its key."""
        self._tokenflex.retry(pending.spec.owner, str(pending.id))
        self._requests.forget(pending.spec.owner)  # the list tells of its failure
        return True

    def covers(self, pending: ExportSpec, wanted: ExportSpec) -> bool:
        """Tell whether both ask for the same; the condition of a dated one holds its dates."""
        dates = {"where": None} if wanted.start else {}
        return {**pending.body, **dates} == {**wanted.body, **dates}

    def signed_link(self, finished: FinishedExport, file: ExportFile) -> str:  # noqa: ARG002
        """POST refreshUrl: a new link each time."""
        refreshed = self._tokenflex.refresh_url(finished.pending.spec.owner, finished.export_id)
        return str(refreshed["downloadUrl"])


def _file_name(pending: PendingExport) -> str:
    """Return a name that no other export has: what for, and the microsecond of asking."""
    moment = dt.datetime.fromisoformat(pending.asked_at)
    return f"{pending.spec.name}-{pending.spec.content}-{moment:%Y%m%dT%H%M%S%f}"
