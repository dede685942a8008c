"""Data Connector API v1: the endpoints and what they answer.

Documented: the endpoints, `reoccuringInterval` with one r, no job for some minutes after a request,
`status` queued/running/complete and then `completionStatus` success/failed/cancelled, 404 for the
listing of a job that did not succeed, links of 60 seconds, 60 requests a minute, 24 jobs in rolling
24 hours answered by 429 on POST. Observed: `projectIdList` as a list and as JSON text.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tap_autodesk_exports.apis import TITLES, Api
from tap_autodesk_exports.autodesk.answers import Answer, as_list, read_each
from tap_autodesk_exports.autodesk.data_connector.scope import Scope
from tap_autodesk_exports.autodesk.http import ApiClient, ApiContext
from tap_autodesk_exports.autodesk.paging import pages
from tap_autodesk_exports.autodesk.shared_list import ReadOnce
from tap_autodesk_exports.clock import instant

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

TITLE = TITLES[Api.DATA_CONNECTOR]
JOBS_A_DAY = 24
PAGE = 100
"""The default of `limit` is 20; its maximum is not documented."""

CAUSES_OF_403 = (
    "an account admin has not added the app as a custom integration of the account",
    (
        "the user who signed in has no executive overview of the account; a project admin must "
        "list projects in 'data_connector_project_ids', and one without admin rights is enough for "
        "a refusal"
    ),
    "the token is two-legged or lacks the scopes data:create, data:read and data:write",
)


@dataclasses.dataclass(frozen=True)
class Request:
    """A data request.

    Attributes:
        request_id: Its ID.
        description: Free text; this tap's identifies its requests.
        scope: What it says of the data in its extracts, at present.
        created_at: When it was made, as the API writes it; empty where it does not say.
        updated_at: When it was last changed, likewise.
        queued_at: When its last job was queued, likewise.
    """

    request_id: str
    description: str
    scope: Scope
    created_at: str = ""
    updated_at: str = ""
    queued_at: str = ""

    @classmethod
    def read(cls, entry: Any) -> Request:  # noqa: ANN401
        """Read a data request.

        Raises:
            UnexpectedAnswer: It has another form.
        """
        answer = Answer.of(TITLE, "data request", entry)
        return cls(
            answer.text("id"),
            answer.optional_text("description") or "",
            Scope.read(answer.values),
            *(
                str(answer.values.get(at) or "")
                for at in ("createdAt", "updatedAt", "lastQueuedAt")
            ),
        )

    @property
    def start(self) -> dt.datetime | None:
        """Start of its range of dates."""
        return self.scope.start

    @property
    def end(self) -> dt.datetime | None:
        """End of its range of dates."""
        return self.scope.end


@dataclasses.dataclass(frozen=True)
class Job:
    """A job of a data request.

    Attributes:
        job_id: Its ID.
        request_id: ID of its request.
        status: `queued`, `running` or `complete`, in small letters.
        completion_status: `success`, `failed` or `cancelled` once it is complete, else empty.
        scope: What it says of the data in its extract, beyond what its request says.
        created_at: When it was created, as the API writes it.
        started_at: When it started, as the API writes it; None while it is queued.
        completed_at: When it was complete.
        percent: How much of it is done; None where the API does not say.
    """

    job_id: str
    request_id: str
    status: str
    completion_status: str
    scope: Scope
    created_at: str | None
    started_at: str | None
    completed_at: dt.datetime | None
    percent: int | None = None

    @classmethod
    def read(cls, entry: Any) -> Job:  # noqa: ANN401
        """Read a job.

        Raises:
            UnexpectedAnswer: It has another form.
        """
        answer = Answer.of(TITLE, "job", entry)
        return cls(
            answer.text("id"),
            answer.text("requestId"),
            answer.text("status").lower(),
            (answer.optional_text("completionStatus") or "").lower(),
            Scope.read(answer.values),
            answer.optional_text("createdAt"),
            answer.optional_text("startedAt"),
            instant(answer.optional_text("completedAt")),
            _percent(answer.values.get("progress")),
        )

    @property
    def taken_at(self) -> str | None:
        """When it took the snapshot, as the API writes it: its start, or else its creation."""
        return self.started_at or self.created_at

    @property
    def extract(self) -> str:
        """Its extract, as an `ExportSpec` names it."""
        return f"{export_id(self.request_id)}/{export_id(self.job_id)}"


@dataclasses.dataclass(frozen=True)
class File:
    """A file of an extract; its size in bytes is None where the listing has none."""

    name: str
    size: int | None

    @classmethod
    def read(cls, entry: Any) -> File:  # noqa: ANN401
        """Read an entry of a listing; sizes occur as numbers and as text.

        Raises:
            UnexpectedAnswer: It has another form.
        """
        answer = Answer.of(TITLE, "file", entry, "name")
        size = answer.optional_text("size") or ""
        return cls(answer.text("name"), int(size) if size.isdecimal() else None)


class DataConnector:
    """The endpoints that this tap calls. An account's ID has no `b.` prefix.

    Args:
        context: What the clients of all APIs share.
        requests_per_minute: How many requests to send at most: an app may send 60.
    """

    def __init__(self, context: ApiContext, requests_per_minute: int = 60) -> None:
        self.clock = context.clock
        self.stop = context.stop
        self.server_time = context.server_time
        self.http = ApiClient(
            api=Api.DATA_CONNECTOR,
            title=TITLE,
            path="/data-connector/v1",
            causes_of_403=CAUSES_OF_403,
            limits=((requests_per_minute, 60.0),),
            context=context,
        )
        self._first_requests = ReadOnce(self.requests)
        self._first_jobs = ReadOnce(self.jobs)

    def first_requests(self, account: str) -> list[Any]:
        """Return the requests of an account as they were when this was first called."""
        return self._first_requests.of(account)

    def first_jobs(self, account: str) -> list[Any]:
        """Return the jobs of an account as they were when this was first called."""
        return self._first_jobs.of(account)

    def requests(self, account: str) -> list[Any]:
        """GET /accounts/:a/requests: the user's own requests, newest first."""
        return self._list(_path(account, "requests"))

    def newest_requests(self, account: str) -> list[Any]:
        """GET /accounts/:a/requests: one page of the user's own requests, the newest."""
        page = self._page(_path(account, "requests"), 0, PAGE)
        return Answer.of(TITLE, "page of requests", page).entries("results")

    def request(self, account: str, request_id: str) -> Request:
        """GET /accounts/:a/requests/:r."""
        return Request.read(self.http.get(_path(account, "requests", request_id)))

    def create_request(self, account: str, body: Mapping[str, Any], *, patience: float) -> str:
        """POST /accounts/:a/requests; return the ID of the request."""
        path = _path(account, "requests")
        answer = self.http.post(path, dict(body), patience=patience)
        return Answer.of(TITLE, "data request", answer).text("id")

    def request_jobs(self, account: str, request_id: str) -> list[Any]:
        """GET /accounts/:a/requests/:r/jobs: newest first; empty for some time after the POST."""
        return self._list(_path(account, "requests", request_id, "jobs"))

    def jobs(self, account: str) -> list[Any]:
        """GET /accounts/:a/jobs: the user's own jobs, newest first."""
        return self._list(_path(account, "jobs"))

    def newest_jobs(self, account: str) -> list[Any]:
        """GET /accounts/:a/jobs: one page of the user's own jobs, the newest."""
        page = self._page(_path(account, "jobs"), 0, PAGE)
        return Answer.of(TITLE, "page of jobs", page).entries("results")

    def jobs_since(self, account: str, since: dt.datetime) -> list[dt.datetime]:
        """Return when the user's own jobs of an account began, from an instant on, oldest first.

        Of the newest ones: a day has 24 of them.
        """
        jobs = read_each(self.newest_jobs(account), Job.read).items
        created = (instant(job.created_at) for job in jobs)
        return sorted(at for at in created if at and at > since)

    def job(self, account: str, job_id: str) -> Job:
        """GET /accounts/:a/jobs/:j."""
        return Job.read(self.http.get(_path(account, "jobs", job_id)))

    def data_listing(self, account: str, job_id: str) -> list[Any]:
        """GET …/data-listing: the files of a job that succeeded."""
        answer = self.http.get(_path(account, "jobs", job_id, "data-listing"))
        return as_list(TITLE, "files", answer)

    def signed_link(self, account: str, job_id: str, name: str) -> str:
        """GET …/data/:name: a link that must be followed within 60 seconds.

        Raises:
            UnexpectedAnswer: The answer has none.
        """
        answer = self.http.get(_path(account, "jobs", job_id, "data", name))
        return Answer.of(TITLE, "file", answer, "name").text("signedUrl")

    def _list(self, path: str) -> list[Any]:
        def page(offset: int, limit: int) -> Any:  # noqa: ANN401
            return self._page(path, offset, limit)

        return pages(TITLE, "results", PAGE, page)

    def _page(self, path: str, offset: int, limit: int) -> Any:  # noqa: ANN401
        return self.http.get(
            path, {"offset": offset, "limit": limit, "sort": "desc", "sortFields": "-createdAt"}
        )


def export_id(said: str) -> str:
    """Return an ID of a request or a job without the `/` that stands between the two."""
    return quote(said, safe=":", errors="replace")


def _path(account: str, *parts: str) -> str:
    """Return a path below an account; no ID leads to another one."""
    return "/".join(
        ("/accounts", *(quote(part, safe="", errors="replace") for part in (account, *parts)))
    )


def _percent(value: Any) -> int | None:  # noqa: ANN401
    """Return a progress of 0 to 100; an empty text and what is no number count as none."""
    try:
        percent = int(value)
    except (TypeError, ValueError):
        return None
    return percent if 0 <= percent <= 100 else None  # noqa: PLR2004
