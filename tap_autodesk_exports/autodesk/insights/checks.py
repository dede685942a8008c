"""What the doctor tries of Insights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_autodesk_exports.apis import Api, Flow
from tap_autodesk_exports.autodesk.answers import read_each
from tap_autodesk_exports.autodesk.findings import Finding, Verdict, failure
from tap_autodesk_exports.autodesk.insights.client import REPORTING, Insights, Team
from tap_autodesk_exports.errors import TapError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_autodesk_exports.autodesk.http import ApiContext
    from tap_autodesk_exports.settings import Settings


def check(context: ApiContext, settings: Settings) -> Iterator[Finding]:
    """Try to list the teams and the exports."""
    api, step, insights = Api.INSIGHTS, "contexts", Insights(context)
    pat = context.sign_in.credentials(api).flow is Flow.CLIENT_CREDENTIALS
    try:
        answers = read_each(insights.contexts(), Team.read)
    except TapError as error:
        yield failure(
            api,
            step,
            error,
            "the personal access token is invalid, or was made for another app or without Premium "
            "Reporting"
            if pat
            else "the user is no primary or secondary admin of a team with a Business Success Plan",
            "let a team admin make a personal access token for this app"
            if pat
            else "let a team admin sign in with `autodesk-exports login`",
        )
        return
    yield from (failure(api, step, unreadable) for unreadable in answers.unreadable)
    teams = answers.items
    reporting = {team.team_id for team in teams if team.is_reporting}
    wanted = set(settings.insights_team_ids or reporting)
    seen = f"{len(teams)} teams, {len(reporting)} of them with {REPORTING}"
    if not teams and not answers.unreadable:
        yield Finding(
            api,
            step,
            Verdict.FAILS,
            "no team",
            "role missing: the user is no primary or secondary admin of any team",
            "let a team admin sign in, or make the user one in Autodesk Account",
        )
        return
    if not reporting or wanted - reporting:
        names = ", ".join(sorted(wanted - reporting)) or "every team"
        yield Finding(
            api,
            step,
            Verdict.FAILS,
            f"{seen}; not reporting: {names}",
            "team without the reporting benefit, or the user is not its admin",
            "get the Business Success Plan for the team, or take it out of 'insights_team_ids'",
        )
        return
    yield Finding(api, step, Verdict.WORKS, seen)
    try:
        yield Finding(
            api, "exports", Verdict.WORKS, f"{len(insights.exports())} of the last two weeks"
        )
    except TapError as error:
        yield failure(api, "exports", error)
