"""Data Connector's requests and jobs, and how the API shows them."""

from __future__ import annotations

import dataclasses
import json
import threading
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.sandbox.clock import iso
from tap_autodesk_exports.sandbox.credentials import USER_EMAIL, USER_ID
from tap_autodesk_exports.sandbox.timeline import Outcome, Phase, Timeline

if TYPE_CHECKING:
    import datetime as dt

    from tap_autodesk_exports.sandbox.data_connector.extract import Extract
    from tap_autodesk_exports.sandbox.data_connector.ranges import Period


@dataclasses.dataclass
class Job:
    """A job, with its files once they have been written; `shown` is what answers show instead."""

    id: str
    request: Request
    timeline: Timeline
    asked: Period | None
    extract: Extract | None = None
    shown: dict[str, Any] = dataclasses.field(default_factory=dict)
    making: threading.Lock = dataclasses.field(default_factory=threading.Lock)
    downloaded: dt.datetime | None = None


@dataclasses.dataclass
class Request:
    """A data request and the jobs that it spawned; `shown` is what answers show instead."""

    id: str
    account: str
    body: dict[str, Any]
    groups: tuple[str, ...]
    projects: list[str]
    created: dt.datetime
    updated: dt.datetime
    next_job: dt.datetime | None
    jobs: list[Job] = dataclasses.field(default_factory=list)
    shown: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def is_legacy(self) -> bool:
        """Whether it names one project by `projectId` alone (documented as legacy)."""
        return bool(self.body.get("projectId")) and not self.body.get("projectIdList")


def shape_request(request: Request, form: str) -> dict[str, Any]:
    """Return the documented object; `form` is that of its list of projects (see the switches)."""
    queued = [job.timeline.created for job in request.jobs]
    return {
        "description": None,
        "isActive": True,
        "scheduleInterval": "ONE_TIME",
        "reoccuringInterval": None,
        "effectiveTo": None,
        "sendEmail": True,
        "projectId": None,
        "startDate": None,
        "endDate": None,
        **request.body,
        "projectIdList": _projects(request, text=form in {"mixed", "text"}) or None,
        "id": request.id,
        "accountId": request.account,
        "createdBy": USER_ID,
        "createdByEmail": USER_EMAIL,
        "createdAt": iso(request.created),
        "updatedBy": USER_ID,
        "updatedAt": iso(request.updated),
        "lastQueuedAt": iso(max(queued)) if queued else None,
        **request.shown,
    }


def _projects(request: Request, *, text: bool) -> str | list[str] | None:
    if request.is_legacy:
        return None
    return json.dumps(request.projects) if text and request.projects else request.projects


def shape_job(job: Job, now: dt.datetime, form: str) -> dict[str, Any]:
    """Return the documented object; it has a completion status only once it is complete."""
    timeline, request = job.timeline, job.request
    phase = timeline.phase(now)
    status = {Phase.QUEUED: "queued", Phase.RUNNING: "running"}.get(phase, "complete")
    ended = phase is Phase.ENDED
    if ended and timeline.outcome is Outcome.UNKNOWN_STATUS:
        status, ended = "archiving", False
    completion = timeline.outcome.value if ended else None
    if completion == Outcome.EXPIRED.value:
        completion = Outcome.FAILED.value
    return {
        "id": job.id,
        "requestId": request.id,
        "accountId": request.account,
        "projectId": request.projects[0] if len(request.projects) == 1 else None,
        "projectIdList": _projects(request, text=form == "text"),
        "createdBy": USER_ID,
        "createdByEmail": USER_EMAIL,
        "createdAt": iso(timeline.created),
        "status": status,
        "completionStatus": completion,
        "startedAt": iso(timeline.started) if phase in {Phase.RUNNING, Phase.ENDED} else None,
        "completedAt": iso(timeline.ended) if ended else None,
        "sendEmail": request.body.get("sendEmail", True),
        "progress": 100 if ended else "",
        "lastDownloadedBy": USER_ID if job.downloaded else None,
        "lastDownloadedAt": iso(job.downloaded) if job.downloaded else None,
        "startDate": iso(job.asked[0]) if job.asked else None,
        "endDate": iso(job.asked[1]) if job.asked else None,
        **job.shown,
    }
