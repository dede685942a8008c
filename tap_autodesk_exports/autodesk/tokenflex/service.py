"""Token Flex as an `ExportService`: how an export is requested, found, polled and fetched.

Inferred: the header of the CSV file holds the fields and then the metrics as they were requested.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from typing import TYPE_CHECKING

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.answers import read_each
from tap_autodesk_exports.autodesk.availability import of_one_export
from tap_autodesk_exports.autodesk.http import ApiError, NotFound
from tap_autodesk_exports.autodesk.shared_list import Freshness, SharedList
from tap_autodesk_exports.autodesk.tokenflex.client import Request
from tap_autodesk_exports.clock import canonical, instant
from tap_autodesk_exports.exports.export import (
    YOUNG,
    ExportFile,
    ExportSpec,
    ExportStatus,
    FinishedExport,
    PendingExport,
    QuotaUsedUp,
    Status,
    known_status,
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
KEPT = dt.timedelta(days=30)
"""How long a pending export is looked for; how long the server keeps it is not documented."""
_REST = r"(?P<base>[0-9a-f]{6})?((?P<start>\d{8})(?P<end>\d{8}))?(?P<asked_at>\d{8}t\d{12})"
"""What follows in a file name that this tap gave, once it is said what is inside; as `_plain`
returns it."""

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
    kept = KEPT

    def __init__(self, tokenflex: TokenFlex, young: dt.timedelta = YOUNG) -> None:
        self._tokenflex = tokenflex
        self._young = young
        self._listed = SharedList(self._newest, POLLS, tokenflex.clock)

    def mark(self, pending: PendingExport) -> str:
        """Note the file name that identifies this export."""
        return _file_name(pending)

    def submit(self, pending: PendingExport) -> str:
        """POST the export request."""
        body = {**pending.spec.body, "downloadFileName": _name_of(pending)}
        try:
            return self._tokenflex.create_request(pending.spec.owner, body).key
        except ApiError as error:
            if error.status != TOO_MANY_REQUESTS:
                raise
            raise QuotaUsedUp(str(error)) from None

    def find_lost(self, pending: PendingExport, known: Sequence[str]) -> str | None:
        """Return the request whose file name is the one that was sent."""
        asked_at = dt.datetime.fromisoformat(pending.asked_at)
        day = self._tokenflex.server_time.at(asked_at).date()
        entries = self._tokenflex.requests(pending.spec.owner, day - DAY, day + 2 * DAY)
        for request in _read(entries):
            is_it = _plain(request.file_name) == _plain(_name_of(pending))
            if is_it and request.key not in known:
                return request.key
        return None

    def find_existing(self, wanted: PendingExport, known: Sequence[str]) -> PendingExport | None:
        """Return the newest request whose file name stands for the same content.

        One that is ready must be young, and of the same state: what was loaded is not used again.
        So it was where a later one is of another state.
        """
        alike = {
            request: name
            for request in _read(self._listed.of(wanted.spec.owner))
            if (name := re.fullmatch(_plain(_what(wanted.spec)) + _REST, _plain(request.file_name)))
        }
        newest = max(alike.values(), key=lambda name: name["asked_at"], default=None)
        is_unloaded = newest is not None and (newest["base"] or "") == wanted.base
        found = [
            pending
            for request, name in alike.items()
            if request.key not in known
            and (pending := self._as_wanted(request, name, wanted, is_unloaded=is_unloaded))
        ]
        return max(found, key=lambda pending: pending.asked_at, default=None)

    def _as_wanted(
        self, request: Request, name: re.Match[str], wanted: PendingExport, *, is_unloaded: bool
    ) -> PendingExport | None:
        """Read a request of this tap; None where it does not serve."""
        status = known_status(request.status, STATUSES)
        asked_at = _read_moment(name["asked_at"], _MOMENT)
        if asked_at is None:
            return None
        longest = {Status.PENDING: DAY}
        if is_unloaded and (name["base"] or "") == wanted.base:
            longest[Status.READY] = self._young
        age = self._tokenflex.server_time.age(instant(request.date), asked_at)
        if status not in longest or age >= longest[status]:
            return None
        spec = _with_its_dates(wanted.spec, name["start"], name["end"], asked_at)
        if spec is None:
            return None
        return dataclasses.replace(wanted, spec=spec, asked_at=canonical(asked_at), id=request.key)

    def poll(self, pending: PendingExport) -> ExportStatus:
        """GET the export request, or the list that shows it.

        Raises:
            NotAvailable: The server refuses to show it.
        """
        key = str(pending.id)
        owner = pending.spec.owner
        listed = self._listed.listed(owner, "requestKey", key)
        try:
            with of_one_export():
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
        today = self._tokenflex.server_time.now().date()
        return self._tokenflex.requests(contract, today - DAY, today + DAY)

    def retry(self, pending: PendingExport) -> bool:
        """POST retry: the export keeps its key."""
        self._tokenflex.retry(pending.spec.owner, str(pending.id))
        self._listed.forget(pending.spec.owner)  # the list shows its failure
        return True

    def covers(self, pending: ExportSpec, wanted: ExportSpec) -> bool:
        """Tell whether both request the same; the condition of a dated one holds its dates."""
        dates = {"where": None} if wanted.start else {}
        return {**pending.body, **dates} == {**wanted.body, **dates}

    def signed_link(self, finished: FinishedExport, file: ExportFile) -> str:  # noqa: ARG002
        """POST refreshUrl: a new link each time."""
        with of_one_export(is_there=True):
            return self._tokenflex.refreshed_link(finished.pending.spec.owner, finished.export_id)


def _read(entries: Iterable[Any]) -> tuple[Request, ...]:
    """Return the requests of a list that can be read; the others are none of this tap's."""
    return read_each(entries, Request.read).items


_DAY, _MOMENT = "%Y%m%d", "%Y%m%dT%H%M%S%f"


def _plain(name: str) -> str:
    """Return a file name in a form that does not depend on how the server spells it."""
    return re.sub(r"(\.csv)+$|[^a-z0-9]", "", name.lower())


def _name_of(pending: PendingExport) -> str:
    """Return the name that an export was given, maybe by an earlier release."""
    return pending.mark if isinstance(pending.mark, str) else _file_name(pending)


def _file_name(pending: PendingExport) -> str:
    """Return a name that no other export has.

    Says what it is for, from which state, for which days, and the microsecond of the request.
    """
    spec = pending.spec
    parts = [_what(spec), *filter(None, [pending.base])]
    if spec.start and spec.end:
        parts += [_day(spec.start), _day_after(spec.end)]
    moment = dt.datetime.fromisoformat(pending.asked_at)
    return "-".join([*parts, f"{moment:{_MOMENT}}"])


def _what(spec: ExportSpec) -> str:
    """Return what an export holds, dates apart; the condition of a dated one holds its dates."""
    if spec.start:
        spec = dataclasses.replace(spec, body={**spec.body, "where": None})
    return f"{spec.name}-{spec.content}"


def _with_its_dates(
    spec: ExportSpec, start: str | None, end: str | None, asked_at: dt.datetime
) -> ExportSpec | None:
    """Return what is wanted with the days that were requested; None where they do not serve.

    An export of which a day is missing at the start does not; what is missing at the end comes
    next. It holds nothing of later than its own request.
    """
    if not (spec.start and spec.end and start and end):
        return None if (spec.start or start) else spec
    midnight = _read_moment(end, _DAY)
    if start > _day(spec.start) or midnight is None:
        return None
    if not spec.ends_by(canonical(midnight), asked_at):
        return None
    until = min(spec.end, canonical(asked_at), canonical(midnight))
    return dataclasses.replace(spec, end=until) if until > spec.start else None


def _read_moment(text: str, form: str) -> dt.datetime | None:
    try:
        return dt.datetime.strptime(text, form).replace(tzinfo=dt.UTC)
    except ValueError:
        return None


def _day(moment: str) -> str:
    return f"{dt.datetime.fromisoformat(moment):{_DAY}}"


def _day_after(end: str) -> str:
    """Return the day before which an export ends that is of whole days."""
    last = dt.datetime.fromisoformat(end) - dt.timedelta(microseconds=1)
    return f"{last + DAY:{_DAY}}"
