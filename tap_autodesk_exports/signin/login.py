"""`autodesk-exports login`: a person signs in once, in a browser; the tap renews from then on.

Authorization code with PKCE (S256), documented for public apps and accepted for confidential ones.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import hashlib
import os
import secrets
import sys
import webbrowser
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import click

from tap_autodesk_exports.apis import SCOPES, TITLES, Api, Flow
from tap_autodesk_exports.clock import Clock
from tap_autodesk_exports.errors import ConfigurationError, TapError
from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.settings.config import config_option, read_config
from tap_autodesk_exports.signin.callback import Callback
from tap_autodesk_exports.signin.credentials import Credentials, credentials_for
from tap_autodesk_exports.signin.endpoint import TokenEndpoint
from tap_autodesk_exports.signin.errors import SignInError
from tap_autodesk_exports.signin.flows import RefreshChain
from tap_autodesk_exports.signin.store import LIFE_DAYS

if TYPE_CHECKING:
    from collections.abc import Sequence

CALLBACK = "http://localhost:8931/callback"
"""To be registered as the app's callback URL: Autodesk redirects to registered ones only."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a sign-in is for.

    Attributes:
        credentials: The app, and the seed token of its chain where there is one.
        apis: The APIs that use them.
    """

    credentials: Credentials
    apis: tuple[Api, ...]

    @property
    def scopes(self) -> list[str]:
        """What these APIs need together."""
        return sorted({scope for api in self.apis for scope in SCOPES[api]})


@click.command("login")
@config_option
@click.option(
    "--api",
    type=click.Choice([api.value for api in Api]),
    help="Sign in for this API, where APIs have different apps.",
)
@click.option(
    "--callback",
    default=CALLBACK,
    show_default=True,
    help="The app's callback URL, exactly as registered in Autodesk's developer portal.",
)
@click.option("--browser/--no-browser", default=True, help="Open a browser here.")
def command(sources: Sequence[str], api: str | None, callback: str, *, browser: bool) -> None:
    """Sign in with a browser, and keep the refresh token for the tap."""
    try:
        settings = Settings.from_config(read_config(sources))
        login(settings, wanted(settings, api), callback, browser=browser)
    except TapError as error:
        raise click.ClickException(str(error)) from None


def wanted(settings: Settings, api: str | None) -> Wanted:
    """Find the app to sign in to: the one that the APIs of the settings use three-legged.

    An app that is so far used two-legged is taken where there is no other.

    Args:
        settings: The settings.
        api: Only the app of this API.

    Raises:
        ConfigurationError: There is none, or more than one.
    """
    given = {each: credentials_for(each, settings) for each in settings.apis}
    if api is not None:
        given.setdefault(Api(api), credentials_for(Api(api), settings))
        given = {each: found for each, found in given.items() if found == given[Api(api)]}
    three_legged = any(found.flow is Flow.REFRESH_TOKEN for found in given.values())
    flow = Flow.REFRESH_TOKEN if three_legged else Flow.CLIENT_CREDENTIALS
    apps: dict[Credentials, list[Api]] = {}
    for each, found in given.items():
        if found.flow is flow:
            app = Credentials(
                Flow.REFRESH_TOKEN, found.client_id, found.client_secret, found.refresh_token
            )
            apps.setdefault(app, []).append(each)
    if not apps:
        msg = (
            "There is nothing to sign in to with a browser: set 'auth_flow' to refresh_token and "
            "'client_id', and 'client_secret' where the app has one."
        )
        raise ConfigurationError(msg)
    if len(apps) > 1:
        names = " or ".join(str(apis[0]) for apis in apps.values())
        msg = f"The APIs have different apps: sign in to one after the other, with `--api {names}`."
        raise ConfigurationError(msg)
    ((credentials, apis),) = apps.items()
    return Wanted(credentials, tuple(apis))


def login(settings: Settings, what: Wanted, callback_url: str, *, browser: bool) -> None:
    """Let a person sign in, and store the refresh token.

    Raises:
        SignInError: It did not come to a token, or the token lacks a scope.
    """
    credentials, clock = what.credentials, Clock()
    client_id = credentials.client_id or ""
    endpoint = TokenEndpoint(
        settings.api_url,
        client_id,
        credentials.client_secret,
        clock,
        settings.request_timeout_seconds,
    )
    chain = RefreshChain(endpoint, credentials, settings, clock)
    chain.store.check()
    # 43 to 128 characters are documented for the verifier.
    verifier, state = secrets.token_urlsafe(64), secrets.token_urlsafe(24)
    callback = Callback(callback_url, state)
    with callback.listening() as listens:
        address = _authorize_url(settings.api_url, what, callback_url, state, verifier)
        _show(address, callback_url, listens=listens, browser=browser)
        callback.read_pasted()
        code = callback.code()
        token = chain.begin(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": callback_url,
                "code_verifier": verifier,
            }
        )
    told = endpoint.introspect(token.access_token)
    last_day = clock.now() + dt.timedelta(days=LIFE_DAYS)
    click.echo(
        f"Signed in as {told.user or 'a user that Autodesk does not name'}, with the app "
        f"{client_id}, for {', '.join(TITLES[api] for api in what.apis)} "
        f"({' '.join(sorted(told.scopes))}).\n"
        f"The refresh token is kept in {chain.store.location}, and every run of the tap renews it. "
        f"Without a run it ends on {last_day:%Y-%m-%d}."
    )
    if any(credentials_for(api, settings).flow is not Flow.REFRESH_TOKEN for api in what.apis):
        click.echo("Now set 'auth_flow' to refresh_token, so that the tap uses it.")
    if missing := set(what.scopes) - told.scopes:
        msg = f"The token lacks {' '.join(sorted(missing))}: add the APIs to the app, then repeat."
        raise SignInError(msg)


def _authorize_url(api_url: str, what: Wanted, callback_url: str, state: str, verifier: str) -> str:
    """Return the address to sign in at; the verifier itself is not part of it."""
    digest = hashlib.sha256(verifier.encode()).digest()
    asked = {
        "response_type": "code",
        "client_id": what.credentials.client_id,
        "redirect_uri": callback_url,
        "scope": " ".join(what.scopes),
        "state": state,
        "prompt": "login",
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    return f"{api_url}/authentication/v2/authorize?{urlencode(asked)}"


def _show(address: str, callback_url: str, *, listens: bool, browser: bool) -> None:
    """Tell where to sign in, and open a browser where there is a screen for it."""
    click.echo(f"Sign in at:\n\n  {address}\n")
    if browser and _has_screen():
        webbrowser.open(address)
    where = (
        f"Waiting for the browser to come back to {callback_url}. "
        if listens
        else f"{callback_url} cannot be listened to from here. "
    )
    click.echo(
        f"{where}If the browser runs elsewhere (SSH), let it end on an error page, and paste the "
        "address of that page here:"
    )


def _has_screen() -> bool:
    """Return whether a browser would be seen; a text browser would block the terminal."""
    if "BROWSER" in os.environ or sys.platform in {"darwin", "win32"}:
        return True
    return "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
