"""The steps of a run tried one by one, without asking for an export.

For each API of the settings: credentials, token, scopes, and then what the API itself says to this
user. The causes are those that Autodesk documents or that users reported.
"""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.apis import SCOPES, Api, Flow
from tap_autodesk_exports.autodesk.data_connector import JOBS_A_DAY, DataConnector
from tap_autodesk_exports.autodesk.http import ApiContext, ApiError
from tap_autodesk_exports.autodesk.insights import Insights
from tap_autodesk_exports.autodesk.tokenflex import TokenFlex
from tap_autodesk_exports.clock import instant
from tap_autodesk_exports.doctor.findings import Finding, Outcome
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.signin import SignIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.settings import Settings

FORBIDDEN = 403
NOT_FOUND = 404
REPORTING = "ReportingAPIAccess"
"""Documented: the benefit of a team whose data the API gives out."""


def examine(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Try every step of every API in the settings; a step that fails ends its API."""
    try:
        sign_in = SignIn.from_settings(settings, clock)
    except TapError as error:
        yield Finding("settings", "credentials", Outcome.FAILS, str(error))
        return
    context = ApiContext(settings.api_url, sign_in, clock, threading.Event())
    steps: dict[Api, Callable[[], Iterable[Finding]]] = {
        Api.INSIGHTS: lambda: _insights(Insights(context), settings, sign_in),
        Api.TOKENFLEX: lambda: _tokenflex(TokenFlex(context), settings, sign_in),
        Api.DATA_CONNECTOR: lambda: _data_connector(DataConnector(context), settings),
    }
    for api in settings.apis:
        signed_in = True
        for finding in _sign_in(api, sign_in):
            yield finding
            signed_in = signed_in and finding.outcome is not Outcome.FAILS
        if signed_in:
            yield from steps[api]()


def _sign_in(api: Api, sign_in: SignIn) -> Iterator[Finding]:
    credentials = sign_in.credentials(api)
    app = f" with the app {credentials.client_id}" if credentials.client_id else ""
    try:
        sign_in.check(api)
        yield Finding(api, "credentials", Outcome.WORKS, f"{credentials.flow}{app}")
    except TapError as error:
        yield Finding(api, "credentials", Outcome.FAILS, str(error))
        return
    if credentials.flow is Flow.SERVICE_ACCOUNT and api is not Api.DATA_CONNECTOR:
        yield Finding(api, "credentials", Outcome.NOTE, "not documented to accept service accounts")
    try:
        told = sign_in.introspect(api)
    except TapError as error:
        yield Finding(api, "token", Outcome.FAILS, str(error))
        return
    if told is None:
        yield Finding(api, "token", Outcome.NOTE, "a ready token; set 'client_id' to look into it")
        return
    if not told.active:
        yield Finding(
            api,
            "token",
            Outcome.FAILS,
            "Autodesk calls the token inactive.",
            "it is expired or revoked, or it belongs to another app than 'client_id'",
            "set a new 'access_token', or set 'auth_flow' to a flow that renews its tokens",
        )
        return
    yield Finding(
        api, "token", Outcome.WORKS, f"of {told.user or 'the app itself, without a user'}"
    )
    if missing := set(SCOPES[api]) - told.scopes:
        yield Finding(
            api,
            "scopes",
            Outcome.FAILS,
            f"{' '.join(sorted(missing))} missing, {' '.join(sorted(told.scopes))} there",
            "the sign-in asked for less than this API needs",
            "sign in again with `autodesk-exports login`, which asks for all that is needed",
        )
    else:
        yield Finding(api, "scopes", Outcome.WORKS, " ".join(SCOPES[api]))


def _insights(insights: Insights, settings: Settings, sign_in: SignIn) -> Iterator[Finding]:
    api, step = Api.INSIGHTS, "contexts"
    pat = sign_in.credentials(api).flow is Flow.CLIENT_CREDENTIALS
    try:
        teams = insights.contexts()
    except TapError as error:
        yield _failure(
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
    reporting = {str(t["contextId"]) for t in teams if REPORTING in t.get("reportingBenefits", ())}
    wanted = set(settings.insights_team_ids or reporting)
    seen = f"{len(teams)} teams, {len(reporting)} of them with {REPORTING}"
    if not teams:
        yield Finding(
            api,
            step,
            Outcome.FAILS,
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
            Outcome.FAILS,
            f"{seen}; not reporting: {names}",
            "team without the reporting benefit, or the user is not its admin",
            "get the Business Success Plan for the team, or take it out of 'insights_team_ids'",
        )
        return
    yield Finding(api, step, Outcome.WORKS, seen)
    try:
        yield Finding(
            api, "exports", Outcome.WORKS, f"{len(insights.exports())} of the last two weeks"
        )
    except TapError as error:
        yield _failure(api, "exports", error)


def _tokenflex(tokenflex: TokenFlex, settings: Settings, sign_in: SignIn) -> Iterator[Finding]:
    api, step = Api.TOKENFLEX, "contracts"
    if sign_in.credentials(api).flow is Flow.CLIENT_CREDENTIALS:
        cause = (
            "Autodesk has not tied this client to one of your admins, which two-legged use needs"
        )
        remedy = "ask your Customer Success Manager to tie it, or sign in as a contract manager"
    else:
        cause = (
            "role missing: the user is no contract manager, software coordinator or team admin; or "
            "the client is tied to an admin and must not be used three-legged"
        )
        remedy = (
            "let a contract manager sign in with `autodesk-exports login`; for a tied client set "
            "'credentials.tokenflex' with 'auth_flow' client_credentials"
        )
    try:
        contracts = tokenflex.contracts()
    except TapError as error:
        yield _failure(api, step, error, cause, remedy)
        return
    if not contracts:
        yield Finding(api, step, Outcome.FAILS, "no contract", cause, remedy)
        return
    numbers = {str(contract["contractNumber"]) for contract in contracts}
    active = sum(bool(contract.get("isActive")) for contract in contracts)
    seen = f"{len(numbers)} contracts, {active} of them active"
    unknown = set(settings.tokenflex_contract_numbers or ()) - numbers
    if unknown:
        yield Finding(
            api,
            step,
            Outcome.FAILS,
            f"{seen}; not among them: {', '.join(sorted(unknown))}",
            "the number is wrong, or this user has no role in that contract",
            f"set 'tokenflex_contract_numbers' to some of {', '.join(sorted(numbers))}",
        )
    elif not active and not settings.tokenflex_contract_numbers:
        yield Finding(
            api,
            step,
            Outcome.NOTE,
            f"{seen}: nothing is loaded",
            "only active contracts are loaded where none is named",
            f"set 'tokenflex_contract_numbers' to some of {', '.join(sorted(numbers))}",
        )
    else:
        yield Finding(api, step, Outcome.WORKS, seen)


def _data_connector(data_connector: DataConnector, settings: Settings) -> Iterator[Finding]:
    if not settings.data_connector_account_ids:
        yield Finding(
            Api.DATA_CONNECTOR,
            "account",
            Outcome.FAILS,
            "none is set",
            "",
            "set 'data_connector_account_ids' to the account's ID (a hub's ID without `b.`)",
        )
    for account in settings.data_connector_account_ids:
        yield from _account(data_connector, account, settings)


def _account(data_connector: DataConnector, account: str, settings: Settings) -> Iterator[Finding]:
    api, step = Api.DATA_CONNECTOR, "account"
    try:
        requests = data_connector.requests(account)
        jobs = data_connector.jobs(account)
    except TapError as error:
        cause = (
            "custom integration missing: an account admin has not added the app to the account; "
            "or role missing: the user has no executive overview of the account and is no project "
            "admin; or the ID is not an account's"
        )
        remedy = (
            "let an account admin add the app under Account Admin > Custom Integrations, give the "
            "user executive overview, and check the ID (a hub's ID without `b.`)"
        )
        yield _failure(api, step, error, cause, remedy)
        return
    seen = f"{account}: {len(requests)} requests of this user"
    yield Finding(api, step, Outcome.WORKS, seen)
    yield _jobs_left(data_connector, jobs)
    if settings.data_connector_project_ids:
        yield Finding(
            api,
            "projects",
            Outcome.NOTE,
            f"{len(settings.data_connector_project_ids)} listed; a request for them is refused "
            "whole where the user is no admin of a single one",
        )


def _jobs_left(data_connector: DataConnector, jobs: list[dict[str, Any]]) -> Finding:
    """Say how many jobs the rolling day still holds (documented: 24 an account and a user)."""
    api, step, day = Api.DATA_CONNECTOR, "jobs left", dt.timedelta(hours=24)
    since = data_connector.clock.now() - day
    begun = sorted(at for job in jobs if (at := instant(job.get("createdAt"))) and at > since)
    left = max(JOBS_A_DAY - len(begun), 0)
    seen = f"{left} of {JOBS_A_DAY} in the last 24 hours (jobs of other users are not seen)"
    if left:
        return Finding(api, step, Outcome.WORKS, seen)
    free = begun[-JOBS_A_DAY] + day
    return Finding(
        api,
        step,
        Outcome.NOTE,
        seen,
        "the day's quota is used up",
        f"wait until {free:%Y-%m-%d %H:%M} UTC, or load an extract that is there with "
        "'data_connector_extract' latest",
    )


def _failure(api: Api, step: str, error: TapError, cause: str = "", remedy: str = "") -> Finding:
    """Return what failed; the cause is only told for a refusal, not for an outage."""
    refused = isinstance(error, ApiError) and error.status in {FORBIDDEN, NOT_FOUND}
    if not refused:
        return Finding(api, step, Outcome.FAILS, str(error))
    said = str(error).partition(" Usual causes:")[0]
    return Finding(api, step, Outcome.FAILS, said, cause, remedy)
