"""Token Flex Usage Data API v1: the endpoints and what they answer.

Documented: the endpoints, statuses Requested, Download and Error, keys that hold `:` and `#`,
`refreshUrl` and `retry`, 5 requests a minute measured over 8 hours with one burst of 50 in a
minute, at most 50 open exports a user.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tap_autodesk_exports.apis import TITLES, Api
from tap_autodesk_exports.autodesk.answers import Answer, UnexpectedAnswer, as_list, check_same
from tap_autodesk_exports.autodesk.http import ApiClient, ApiContext
from tap_autodesk_exports.clock import instant

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

TITLE = TITLES[Api.TOKENFLEX]
LIMITS = ((50, 60.0), (2400, 8 * 3600.0))

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


@dataclasses.dataclass(frozen=True)
class Contract:
    """A contract of the user.

    Attributes:
        number: Its number.
        is_active: Whether it runs.
        end_date: Its last day; None where the answer has none.
    """

    number: str
    is_active: bool
    end_date: dt.date | None

    @classmethod
    def read(cls, entry: Any) -> Contract:  # noqa: ANN401
        """Read an entry of GET /contract.

        Raises:
            UnexpectedAnswer: It has another form, or ended on a day that is none.
        """
        answer = Answer.of(TITLE, "contract", entry, "contractNumber")
        number, is_active = answer.text("contractNumber"), answer.flag("isActive")
        text = answer.optional_text("contractEndDate")
        if text and not is_active and _day(text) is None:
            msg = f"{TITLE} answered contract {number} with a 'contractEndDate' that is no date"
            raise UnexpectedAnswer(msg)
        return cls(number, is_active, _day(text))


@dataclasses.dataclass(frozen=True)
class ContractYear:
    """A year of a contract; its last day is included."""

    year: str
    start: dt.datetime
    end: dt.datetime

    @classmethod
    def read(cls, entry: Any) -> ContractYear:  # noqa: ANN401
        """Read an entry of `contractYears`.

        Raises:
            UnexpectedAnswer: It has another form, or lacks a date.
        """
        answer = Answer.of(TITLE, "contract year", entry, "year")
        year, start, end = (answer.text(name) for name in ("year", "startDate", "endDate"))
        begins, ends = instant(start), instant(end)
        if begins is None or ends is None:
            msg = f"{TITLE} answered contract year {year} with dates that are none"
            raise UnexpectedAnswer(msg)
        return cls(year, begins, ends)


@dataclasses.dataclass(frozen=True)
class LastUsage:
    """What was used and processed last in a usage category.

    Attributes:
        category: The usage category.
        charge_category: Such as `CHARGED`.
        used: The last day used; None where the answer has none that can be read.
        processed: The last day on which something was processed, likewise.
    """

    category: str
    charge_category: str
    used: dt.date | None
    processed: dt.date | None

    @classmethod
    def read(cls, entry: Any) -> LastUsage:  # noqa: ANN401
        """Read an entry of GET /usage/:n/last.

        Raises:
            UnexpectedAnswer: It has another form.
        """
        answer = Answer.of(TITLE, "last usage", entry, "usageCategory")
        return cls(
            answer.text("usageCategory"),
            answer.optional_text("chargeCategory") or "",
            _day(answer.optional_text("lastUsageDate")),
            _day(answer.optional_text("lastProcessDate")),
        )

    def __str__(self) -> str:
        """Return what tells one state of the category from another."""
        return f"{self.charge_category} {self.used} {self.processed}"


@dataclasses.dataclass(frozen=True)
class Request:
    """An export request.

    Attributes:
        key: Its key.
        status: The server's own word.
        file_name: Name of its file.
        date: When it was requested; None where the answer has none.
        link: Signed and short-lived; None where the answer has none.
    """

    key: str
    status: str
    file_name: str
    date: str | None
    link: str | None = dataclasses.field(repr=False)

    @classmethod
    def read(cls, entry: Any) -> Request:  # noqa: ANN401
        """Read an export request.

        Raises:
            UnexpectedAnswer: It has another form.
        """
        answer = Answer.of(TITLE, "export request", entry, "requestKey")
        return cls(
            answer.text("requestKey"),
            answer.text("requestStatus"),
            answer.optional_text("downloadFileName") or "",
            answer.optional_text("exportRequestDate"),
            answer.optional_text("downloadUrl"),
        )


class TokenFlex:
    """The endpoints that this tap calls."""

    def __init__(self, context: ApiContext) -> None:
        self.clock = context.clock
        self.server_time = context.server_time
        self.http = ApiClient(
            api=Api.TOKENFLEX,
            title=TITLE,
            path="/tokenflex/v1",
            causes_of_403=CAUSES_OF_403,
            limits=LIMITS,
            context=context,
        )

    def contracts(self) -> list[Any]:
        """GET /contract: the contracts of the user; empty for one without a role."""
        return as_list(TITLE, "contracts", self.http.get("/contract"))

    def contract(self, number: str) -> Answer:
        """GET /contract/:n: one contract with its years. A snapshot, not the sum of the usage."""
        return Answer.of(TITLE, "contract", self.http.get(f"/contract/{_quoted(number)}"))

    def enrichment(self, number: str) -> list[Any]:
        """GET /contract/:n/enrichment: ten labels; the positions are customField1 to 10."""
        answer = self.http.get(f"/contract/{_quoted(number)}/enrichment")
        return as_list(TITLE, "labels", answer)

    def summary(self, number: str) -> list[Any]:
        """GET /usage/:n/summary: tokens by month, with the older names of usage categories."""
        return as_list(TITLE, "months", self.http.get(f"/usage/{_quoted(number)}/summary"))

    def last(self, number: str) -> list[Any]:
        """GET /usage/:n/last: the days up to which usage was seen and processed."""
        return as_list(TITLE, "last usage", self.http.get(f"/usage/{_quoted(number)}/last"))

    def requests(self, number: str, start: dt.date, end: dt.date) -> list[Any]:
        """GET /export/:n/requests: the exports requested from `start` until before `end`.

        Both are date-times in every documented example.
        """
        dates = {"fromDate": f"{start}T00:00:00Z", "toDate": f"{end}T00:00:00Z"}
        return as_list(TITLE, "export requests", self.http.get(self._path(number), dates))

    def request(self, number: str, key: str) -> Request:
        """GET /export/:n/requests/:key.

        Raises:
            UnexpectedAnswer: The answer is of another one.
        """
        request = Request.read(self.http.get(self._path(number, key)))
        check_same(TITLE, "export request", key, request.key)
        return request

    def create_request(self, number: str, body: Mapping[str, Any]) -> Request:
        """POST /export/:n/requests."""
        return Request.read(self.http.post(self._path(number), dict(body)))

    def retry(self, number: str, key: str) -> None:
        """POST …/retry: an export in Error becomes Requested again; else nothing happens."""
        self.http.post(self._path(number, key, "retry"), repeatable=True)

    def refreshed_link(self, number: str, key: str) -> str:
        """POST …/refreshUrl: a new link.

        Raises:
            UnexpectedAnswer: The answer has none.
        """
        answer = self.http.post(self._path(number, key, "refreshUrl"), repeatable=True)
        return Answer.of(TITLE, "export request", answer, "requestKey").text("downloadUrl")

    @staticmethod
    def _path(number: str, *parts: str) -> str:
        return "/".join((f"/export/{_quoted(number)}/requests", *map(_quoted, parts)))


def _quoted(part: str) -> str:
    """Return a part of a path; keys hold `:` and `#`, which must be encoded (documented)."""
    return quote(part, safe="", errors="replace")


def _day(text: str | None) -> dt.date | None:
    at = instant(text)
    return at.date() if at else None
