"""Insights API v1 (Business Success Plan Reporting): the endpoints and what they answer.

Documented: the endpoints, the shape of an export object, POST answers 200, statuses SUBMITTED,
COMPLETED, ERROR and EXPIRED, links of "a few minutes". Observed: the header `ADSK-PAT` beside a
two-legged token.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tap_autodesk_exports.apis import TITLES, Api
from tap_autodesk_exports.autodesk.answers import Answer, UnexpectedAnswer, as_list, check_same
from tap_autodesk_exports.autodesk.http import ApiClient, ApiContext
from tap_autodesk_exports.autodesk.paging import pages

if TYPE_CHECKING:
    from collections.abc import Mapping

TITLE = TITLES[Api.INSIGHTS]
PAGE = 100
"""The documented default of `limit`; its maximum is not documented."""
REPORTING = "ReportingAPIAccess"
"""The benefit of a team whose data may be exported (documented list, its meaning inferred)."""

CAUSES_OF_403 = (
    (
        "the user who signed in is no primary or secondary admin of a team with a Business Success "
        "Plan"
    ),
    "the team lacks the benefit 'ReportingAPIAccess': see stream 'insights_contexts'",
    "the app does not offer the API, or the token lacks the scopes data:read and data:write",
)


@dataclasses.dataclass(frozen=True)
class Team:
    """A team of the user.

    Attributes:
        team_id: Its ID, `contextId`.
        is_reporting: Whether its data may be exported.
    """

    team_id: str
    is_reporting: bool

    @classmethod
    def read(cls, entry: Any) -> Team:  # noqa: ANN401
        """Read an entry of GET /contexts.

        Raises:
            UnexpectedAnswer: It has another form.
        """
        answer = Answer.of(TITLE, "team", entry, "contextId")
        return cls(answer.text("contextId"), REPORTING in answer.texts("reportingBenefits"))


@dataclasses.dataclass(frozen=True)
class Download:
    """A file of an export.

    Attributes:
        kind: What is inside, such as `USAGE`; empty where the API does not say.
        link: Signed and short-lived; None where the answer has none.
    """

    kind: str
    link: str | None = dataclasses.field(repr=False)

    @property
    def place(self) -> str:
        """Where the storage has it: what stays the same in every fresh link to it."""
        return (self.link or "").partition("?")[0]


@dataclasses.dataclass(frozen=True)
class Export:
    """An export as the API answers it. It does not echo dates and filters.

    Attributes:
        export_id: Its ID.
        status: The server's own word.
        timestamp: When it was requested; None where the answer has none.
        team_id: The team; empty for all teams of the user.
        output_format: Such as `CSV`.
        reports: Such as `USAGE`.
        downloads: Its files, once it is COMPLETED.
    """

    export_id: str
    status: str
    timestamp: str | None
    team_id: str
    output_format: str | None
    reports: tuple[str, ...]
    downloads: tuple[Download, ...]

    @classmethod
    def read(cls, entry: Any) -> Export:  # noqa: ANN401
        """Read an export object.

        Raises:
            UnexpectedAnswer: It has another form.
        """
        answer = Answer.of(TITLE, "export", entry)
        downloads = (Answer.of(TITLE, "download", item) for item in answer.entries("downloads"))
        return cls(
            answer.text("id"),
            answer.text("status"),
            answer.optional_text("timestamp"),
            answer.optional_text("teamId") or "",
            answer.optional_text("outputFormat"),
            answer.texts("reports"),
            tuple(
                Download(one.optional_text("type") or "", one.optional_text("downloadURL"))
                for one in downloads
            ),
        )

    def link(self, number: int, place: str, files: int) -> str:
        """Return the link of a file, wherever it now stands in the list.

        Args:
            number: Where it stood when the export was ready, counted from 0.
            place: Its `place` at that time.
            files: How many files there were at that time.

        Raises:
            UnexpectedAnswer: There is none, or there are more or fewer files now.
        """
        if len(self.downloads) != files:
            msg = (
                f"{TITLE} answered export {self.export_id} with {len(self.downloads)} files, where "
                f"it had {files}"
            )
            raise UnexpectedAnswer(msg)
        same = [download for download in self.downloads if place and download.place == place]
        link = (same[0] if same else self.downloads[number]).link
        if not link:
            msg = f"{TITLE} answered export {self.export_id} without a link for file {number}"
            raise UnexpectedAnswer(msg)
        return link


class Insights:
    """The endpoints that this tap calls."""

    def __init__(self, context: ApiContext) -> None:
        self.clock = context.clock
        self.server_time = context.server_time
        self.http = ApiClient(
            api=Api.INSIGHTS,
            title=TITLE,
            path="/insights/v1",
            causes_of_403=CAUSES_OF_403,
            limits=(),
            context=context,
        )

    def contexts(self) -> list[Any]:
        """GET /contexts: the teams of the user, with and without reporting access."""
        return as_list(TITLE, "teams", self.http.get("/contexts"))

    def exports(self, team_id: str | None = None) -> list[Any]:
        """GET /exports: the exports of the last two weeks."""
        only = {"teamId": team_id} if team_id else {}

        def page(offset: int, limit: int) -> Any:  # noqa: ANN401
            return self.http.get("/exports", {**only, "offset": offset, "limit": limit})

        return pages(TITLE, "exports", PAGE, page)

    def newest_exports(self) -> list[Any]:
        """GET /exports: one page, of all teams; the newest come first in the documented example."""
        page = self.http.get("/exports", {"offset": 0, "limit": PAGE})
        return Answer.of(TITLE, "page of exports", page).entries("exports")

    def export(self, export_id: str) -> Export:
        """GET /exports/:exportId: one export, with fresh links once it is COMPLETED.

        Raises:
            UnexpectedAnswer: The answer is of another one.
        """
        export = Export.read(
            self.http.get(f"/exports/{quote(export_id, safe='', errors='replace')}")
        )
        check_same(TITLE, "export", export_id, export.export_id)
        return export

    def create_export(self, body: Mapping[str, Any]) -> Export:
        """POST /exports."""
        # The language decides how a workbook's sheets are named, and nothing else.
        headers = {"Accept-Language": "en-US"}
        return Export.read(self.http.post("/exports", dict(body), headers=headers))
