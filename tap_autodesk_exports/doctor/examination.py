"""The steps of a run tried one by one, without requesting an export.

For each API of the settings: credentials, token, scopes, and then the API's own checks. The causes
are those that Autodesk documents or that users reported.
"""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING

from tap_autodesk_exports.apis import SCOPES, Api, Flow
from tap_autodesk_exports.autodesk.findings import Finding, Verdict
from tap_autodesk_exports.autodesk.http import ApiContext
from tap_autodesk_exports.autodesk.sources import SOURCES
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.redaction import Redaction
from tap_autodesk_exports.signin import SignIn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.settings import Settings


def examine(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Try every step of every API in the settings; a step that fails ends its API."""
    try:
        sign_in = SignIn.from_settings(settings, clock)
    except TapError as error:
        yield Finding("settings", "credentials", Verdict.FAILS, str(error))
        return
    redaction = Redaction(sign_in.secrets)
    redaction.guard()
    for finding in _examine(settings, clock, sign_in):
        # An API's own words are among them, which may repeat a token.
        yield dataclasses.replace(finding, found=redaction.redact(finding.found))


def _examine(settings: Settings, clock: Clock, sign_in: SignIn) -> Iterator[Finding]:
    context = ApiContext(
        settings.api_url,
        sign_in,
        clock,
        threading.Event(),
        request_seconds=settings.request_timeout_seconds,
    )
    for api in settings.apis:
        signed_in = True
        for finding in _sign_in(api, sign_in):
            yield finding
            signed_in = signed_in and finding.verdict is not Verdict.FAILS
        if signed_in:
            yield from SOURCES[api].check(context, settings)


def _sign_in(api: Api, sign_in: SignIn) -> Iterator[Finding]:
    credentials = sign_in.credentials(api)
    app = f" with the app {credentials.client_id}" if credentials.client_id else ""
    try:
        sign_in.check(api)
        yield Finding(api, "credentials", Verdict.WORKS, f"{credentials.flow}{app}")
    except TapError as error:
        yield Finding(api, "credentials", Verdict.FAILS, str(error))
        return
    if credentials.flow is Flow.SERVICE_ACCOUNT and api is not Api.DATA_CONNECTOR:
        yield Finding(api, "credentials", Verdict.NOTE, "not documented to accept service accounts")
    try:
        seen = sign_in.introspect(api)
    except TapError as error:
        yield Finding(api, "token", Verdict.FAILS, str(error))
        return
    if seen is None:
        yield Finding(api, "token", Verdict.NOTE, "a ready token; set 'client_id' to look into it")
        return
    if not seen.active:
        yield Finding(
            api,
            "token",
            Verdict.FAILS,
            "Autodesk calls the token inactive.",
            "it is expired or revoked, or it belongs to another app than 'client_id'",
            "set a new 'access_token', or set 'auth_flow' to a flow that renews its tokens",
        )
        return
    yield Finding(
        api, "token", Verdict.WORKS, f"of {seen.user or 'the app itself, without a user'}"
    )
    if missing := set(SCOPES[api]) - seen.scopes:
        yield Finding(
            api,
            "scopes",
            Verdict.FAILS,
            f"{' '.join(sorted(missing))} missing, {' '.join(sorted(seen.scopes))} there",
            "the sign-in asked for less than this API needs",
            "sign in again with `autodesk-exports login`, which asks for all that is needed",
        )
    else:
        yield Finding(api, "scopes", Verdict.WORKS, " ".join(SCOPES[api]))
