"""What Insights exports: columns, keys and dates of each report.

Columns of SUBSCRIPTIONS and of the usage report are observed; those of USERS and USAGE come from
the documented column tables. Two generations of names are documented, snake_case and Title Case;
both map to the snake_case one. Types are inferred: the API documents none.

Rows are identified by what does not change. Products have no code in these files, only names, and
Autodesk renames products: so a person's rows that differ by the product alone are counted, in the
order of the names. A renamed product then takes the place of the old one, and no row is doubled.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.personal import is_personal
from tap_autodesk_exports.loading.dataset import Dataset
from tap_autodesk_exports.tables.spelling import any_spelling, snake_case
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PERSON = ("hashed_autodesk_id", "autodesk_id", "email")
"""What identifies a person, from what changes least. Which of them a report has is a matter of its
generation, and of whether the team's admins let it show personal data (documented)."""

ALIASES = {
    "team": "team_alias",
    "product": "offering_name",
    "feature": "product_name",
}
"""Names of the newer generation that differ in more than their case (the pairs are inferred)."""


def column_name(header: str) -> str:
    """Return the one name of a column for every spelling: `teamAlias`, `Team alias`, `TEAM_ALIAS`.

    A name that no report has is written in snake_case as well, where that changes no letter.
    """
    name = _any_spelling(header.strip())
    other = snake_case(name) if name.isascii() else name
    return name if name in _COLUMNS else ALIASES.get(other, other or name)


@dataclasses.dataclass(frozen=True)
class InsightsDataset(Dataset):
    """A report of Insights.

    Attributes:
        report: Its name in a request.
        is_aggregated: Whether its rows are sums over a whole calendar month, so that a month is
            always requested from its first day.
    """

    api: str = Api.INSIGHTS
    constants: Mapping[str, Type] = dataclasses.field(
        default_factory=lambda: {"team_id": Type.STRING}
    )
    rename: Callable[[str], str] = column_name
    is_personal: Callable[[str], bool] = is_personal
    report: str = ""
    is_aggregated: bool = False


SUBSCRIPTIONS = InsightsDataset(
    name="insights_subscriptions",
    report="SUBSCRIPTIONS",
    # Where a contract has several rows without a subscription ID, they are counted.
    natural_key=("team_id", "contract_number", "subscription_id"),
    columns={
        "team_alias": Type.STRING,
        "offering_name": Type.STRING,
        "contract_number": Type.STRING,
        "subscription_id": Type.STRING,
        "term": Type.STRING,
        "start_date": Type.TIMESTAMP,
        "end_date": Type.TIMESTAMP,
        "autorenew_date": Type.TIMESTAMP,
        "subscription_status": Type.STRING,
        "seat_quantity": Type.NUMBER,
        "reseller_email": Type.STRING,
        "reseller_name": Type.STRING,
    },
)

USERS = InsightsDataset(
    name="insights_users",
    report="USERS",
    natural_key=("team_id", PERSON),
    columns={
        "autodesk_id": Type.STRING,
        "email": Type.STRING,
        "first_name": Type.STRING,
        "last_name": Type.STRING,
        "offering_name": Type.STRING,
        "product_name": Type.STRING,
        "role": Type.STRING,
        "team_alias": Type.STRING,
        "account_status": Type.STRING,
    },
)

USAGE = InsightsDataset(
    name="insights_usage",
    report="USAGE",
    is_dated=True,
    replication_key="day_used",
    natural_key=("team_id", PERSON, "version", "access_option", "day_used"),
    columns={
        "day_used": Type.DATE,
        "team_alias": Type.STRING,
        "hashed_autodesk_id": Type.STRING,
        "autodesk_id": Type.STRING,
        "email": Type.STRING,
        "first_name": Type.STRING,
        "last_name": Type.STRING,
        "offering_name": Type.STRING,
        "product_name": Type.STRING,
        "version": Type.STRING,
        "access_option": Type.STRING,
        "usage_type": Type.STRING,
        "tokens_used": Type.NUMBER,
    },
)

USAGE_REPORT = InsightsDataset(
    name="insights_usage_report",
    report="USAGE_REPORT",
    is_dated=True,
    is_aggregated=True,
    replication_key="window_end",
    constants={
        "team_id": Type.STRING,
        "window_start": Type.TIMESTAMP,
        "window_end": Type.TIMESTAMP,
    },
    # A later run replaces a month's rows, so nothing that changes within a month is part of the
    # key: not its end, not the list of versions.
    natural_key=("team_id", "window_start", PERSON, "access_option"),
    columns={
        "hashed_autodesk_id": Type.STRING,
        "first_name": Type.STRING,
        "last_name": Type.STRING,
        "email": Type.STRING,
        "autodesk_id": Type.STRING,
        "team_alias": Type.STRING,
        "group": Type.STRING,
        "offering_name": Type.STRING,
        "version": Type.STRING,
        "seat_assignment": Type.STRING,
        "assigned_date": Type.TIMESTAMP,
        "unassigned_date": Type.TIMESTAMP,
        "user_activity": Type.STRING,
        "days_inactive": Type.NUMBER,
        "access_option": Type.STRING,
        "days_used": Type.NUMBER,
        "monthly_average": Type.NUMBER,
        "tokens_used": Type.NUMBER,
        "last_accessed": Type.DATE,
    },
)

DATASETS = (SUBSCRIPTIONS, USERS, USAGE, USAGE_REPORT)

_COLUMNS = frozenset(name for dataset in DATASETS for name in dataset.columns)
_any_spelling = any_spelling(_COLUMNS)
