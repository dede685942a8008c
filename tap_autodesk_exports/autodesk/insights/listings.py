"""What Insights answers at once: teams, and exports without their links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.personal import is_personal
from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.loading.listing import STRING, STRINGS, TIMESTAMP, Listing, list_schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_autodesk_exports.autodesk.insights.source import InsightsSource


def _contexts(source: InsightsSource) -> Iterable[Any]:
    entries = source.teams.entries
    if not entries:
        # Observed: this is how the API answers a user without a role.
        yield ConfigurationError(
            "Insights: this user sees no team. Sign in as a primary or secondary admin of a team "
            "with a Business Success Plan, or leave 'insights' out of 'apis'."
        )
    yield from entries


def _exports(source: InsightsSource) -> Iterable[Any]:
    return source.client.exports()


LISTINGS = (
    Listing(
        name="insights_contexts",
        api=Api.INSIGHTS,
        primary_keys=("contextId",),
        schema=list_schema(contextId=STRING, alias=STRING, reportingBenefits=STRINGS),
        is_personal=is_personal,
        read=_contexts,
    ),
    Listing(
        name="insights_exports",
        api=Api.INSIGHTS,
        primary_keys=("id",),
        schema=list_schema(
            id=STRING,
            timestamp=TIMESTAMP,
            status=STRING,
            outputFormat=STRING,
            teamId=STRING,
            teamName=STRING,
            reports=STRINGS,
        ),
        is_personal=is_personal,
        read=_exports,
        left_out=frozenset({"downloads"}),
    ),
)
