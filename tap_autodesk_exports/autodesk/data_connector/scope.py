"""What a data request or its job says of the data in its extract: which part, and of which days.

Documented: `projectIdList` prevails over the legacy `projectId`, which limits to one project;
`serviceGroups` holds `all` for every group; `dateRange` prevails over the two dates and counts from
the moment in which the job is created; one date given counts for both. Observed: lists as JSON
text. Inferred: a job that was made in the product for one project may say so only on the job.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.clock import instant
from tap_autodesk_exports.json_reading import read_json
from tap_autodesk_exports.loading.windows import day_start, month_start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Period = tuple[dt.datetime, dt.datetime]

ALL = "all"
"""The service group that stands for all others, and the status of all projects (documented)."""
DAY = dt.timedelta(days=1)

LIMITING = frozenset(
    {
        "accountId",
        "serviceGroups",
        "projectId",
        "projectIdList",
        "projectStatus",
        "dateRange",
        "startDate",
        "endDate",
    }
)
"""Fields that say which part of an account's data is meant."""
HARMLESS = frozenset(
    {
        "id",
        "requestId",
        "description",
        "isActive",
        "scheduleInterval",
        "reoccuringInterval",
        "reoccurringInterval",
        "reocurringInterval",
        "effectiveFrom",
        "effectiveTo",
        "lastQueuedAt",
        "callbackUrl",
        "sendEmail",
        "createdBy",
        "createdByEmail",
        "createdAt",
        "updatedBy",
        "updatedByEmail",
        "updatedAt",
        "status",
        "completionStatus",
        "startedAt",
        "completedAt",
        "progress",
        "lastDownloadedBy",
        "lastDownloadedAt",
    }
)
"""Fields of requests and jobs that say nothing of it (documented, in every documented spelling)."""

DATE_RANGES: Mapping[str, Callable[[dt.datetime], Period]] = {
    "TODAY": lambda at: (day_start(at), at),
    "YESTERDAY": lambda at: (day_start(at) - DAY, day_start(at)),
    "PAST_7_DAYS": lambda at: (day_start(at) - 6 * DAY, at),
    "MONTH_TO_DATE": lambda at: (month_start(at), at),
    "LAST_MONTH": lambda at: (month_start(month_start(at) - DAY), month_start(at)),
}
"""Documented words for a range -> the range, counted from the moment in which a job was created."""
CUSTOM = "CUSTOM"
LONGEST_OF_ACTIVITIES = 31 * DAY
"""A longer range of activities silently falls back to yesterday (documented)."""


@dataclasses.dataclass(frozen=True)
class Scope:
    """What a request or a job says.

    Attributes:
        account: The account in small letters; empty where it does not say.
        service_groups: The groups in small letters; empty where it does not say.
        project_ids: The projects that it is limited to, in small letters; empty for all.
        project_status: The status of its projects; empty where it does not say.
        date_range: The word for its range of dates; empty where there is none.
        start: Start of its range of dates.
        end: End of its range of dates.
        unclear: Names of the fields that may limit it in a way that is not understood.
    """

    account: str = ""
    service_groups: frozenset[str] = frozenset()
    project_ids: frozenset[str] = frozenset()
    project_status: str = ""
    date_range: str = ""
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    unclear: tuple[str, ...] = ()

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Scope:
        """Read the fields of a request or a job; whatever they hold is no error."""
        unclear = [name for name, value in values.items() if _says(value) and name not in _KNOWN]
        texts: dict[str, Any] = {}
        for name, read in _READERS.items():
            value = values.get(name)
            texts[name] = read(value) if _says(value) else None
            if _says(value) and texts[name] is None:
                unclear.append(name)
        return cls(
            (texts["accountId"] or "").removeprefix("b."),
            frozenset(texts["serviceGroups"] or ()),
            frozenset(texts["projectIdList"] or texts["projectId"] or ()),
            texts["projectStatus"] or "",
            (texts["dateRange"] or "").upper(),
            texts["startDate"] or texts["endDate"],
            texts["endDate"] or texts["startDate"],
            tuple(sorted(unclear)),
        )

    def may_lack(self, groups: Iterable[str], projects: Iterable[str]) -> bool:
        """Tell whether it may be limited to less than some groups, or to other projects."""
        lacks_groups = bool(self.service_groups) and not (
            ALL in self.service_groups or self.service_groups.issuperset(groups)
        )
        others = self.project_ids and self.project_ids != {project.lower() for project in projects}
        return bool(self.unclear or lacks_groups or others)

    @property
    def is_dated(self) -> bool:
        """Whether it says anything of dates."""
        return bool(self.date_range or self.start)

    def period(self, created: dt.datetime) -> Period | None:
        """Return its range of dates; None where it has none that is understood.

        Args:
            created: When the job was created.
        """
        if self.date_range not in {"", CUSTOM}:
            word = DATE_RANGES.get(self.date_range)
            return word(created) if word else None
        return (self.start, self.end) if self.start and self.end else None


def of_activities(period: Period | None, created: dt.datetime) -> Period:
    """Return the range whose activities an extract holds: yesterday without a range.

    Args:
        period: The range that was requested; None without one.
        created: When the job was created.
    """
    if period and period[1] - period[0] <= LONGEST_OF_ACTIVITIES:
        return period
    return DATE_RANGES["YESTERDAY"](created)


def _says(value: Any) -> bool:  # noqa: ANN401
    """Tell whether a field says anything: `false` and 0 do, as much as others."""
    return value is not None and value not in ("", [], {})


def as_texts(value: Any) -> list[str] | None:  # noqa: ANN401
    """Return a list of texts, which may be written as JSON text; None where it is something else.

    Null and the empty text are an empty list.
    """
    if isinstance(value, str) and value:
        try:
            value = read_json(value)
        except ValueError:
            return None
    if not value:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return None
    return value


def _small(value: Any) -> list[str] | None:  # noqa: ANN401
    texts = as_texts(value)
    return None if texts is None else [text.strip().lower() for text in texts]


def _projects(value: Any) -> list[str] | None:  # noqa: ANN401
    texts = _small(value)
    return None if texts is None else [text.removeprefix("b.") for text in texts]


def _project(value: Any) -> list[str] | None:  # noqa: ANN401
    return _projects([value])


def _word(value: Any) -> str | None:  # noqa: ANN401
    return value.strip().lower() if isinstance(value, str) else None


def _instant(value: Any) -> dt.datetime | None:  # noqa: ANN401
    return instant(value) if isinstance(value, str) else None


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "accountId": _word,
    "serviceGroups": _small,
    "projectIdList": _projects,
    "projectId": _project,
    "projectStatus": _word,
    "dateRange": _word,
    "startDate": _instant,
    "endDate": _instant,
}
_KNOWN = LIMITING | HARMLESS
