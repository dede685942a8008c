"""Headers for each API: signed in when first asked, renewed before they expire."""

from __future__ import annotations

import base64
import threading
from typing import TYPE_CHECKING

from tap_autodesk_exports.apis import SCOPES, Api, Flow
from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.settings.rules import WrongSettings
from tap_autodesk_exports.signin.credentials import check_flow, credentials_for
from tap_autodesk_exports.signin.endpoint import TokenEndpoint
from tap_autodesk_exports.signin.flows import RefreshChain, no_refresh_token, token_source

if TYPE_CHECKING:
    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.settings import Settings
    from tap_autodesk_exports.signin.credentials import Credentials
    from tap_autodesk_exports.signin.endpoint import Introspection, Token
    from tap_autodesk_exports.signin.flows import TokenSource


class Bearer:
    """The token of one set of credentials, shared by all threads and all APIs that use it.

    Args:
        credentials: Whose token it is.
        endpoint: The OAuth server; None for a ready token of an app that is not named.
        source: Where tokens come from.
        clock: Tells when one must be renewed.
    """

    def __init__(
        self,
        credentials: Credentials,
        endpoint: TokenEndpoint | None,
        source: TokenSource,
        clock: Clock,
    ) -> None:
        self.credentials = credentials
        self.endpoint = endpoint
        self.source = source
        self._clock = clock
        self._lock = threading.Lock()
        self._token: Token | None = None

    def token(self) -> str:
        """Return a valid access token.

        Raises:
            SignInError: No token is available.
        """
        with self._lock:
            if self._token is None or self._clock.now() >= self._token.renew_at:
                self._token = self.source.sign_in(None)
            return self._token.access_token

    def renew(self, rejected: str) -> None:
        """Replace a token that an API rejected, unless another thread did so already.

        Raises:
            SignInError: No token is available.
        """
        with self._lock:
            if self._token is not None and self._token.access_token == rejected:
                self._token = self.source.sign_in(rejected)


class SignIn:
    """Signs in to the APIs of the settings, each with its own credentials or the shared ones."""

    def __init__(self, bearers: dict[Api, Bearer]) -> None:
        self._bearers = bearers

    @classmethod
    def from_settings(cls, settings: Settings, clock: Clock) -> SignIn:
        """Read the credentials of every API in the settings; nothing is sent yet.

        APIs with the same credentials share one token, whose scopes are what they need together.

        Raises:
            WrongSettings: Credentials are ambiguous or incomplete: a sentence for each.
            SignInError: A token store cannot be read that says which flow to use.
        """
        shared: dict[Credentials, list[Api]] = {}
        problems: list[str] = []
        for api in settings.apis:
            try:
                shared.setdefault(credentials_for(api, settings), []).append(api)
            except ConfigurationError as error:
                problems.append(str(error))
        if problems:
            raise WrongSettings([*dict.fromkeys(problems)])
        bearers = {}
        for credentials, apis in shared.items():
            scopes = sorted({scope for api in apis for scope in SCOPES[api]})
            endpoint = None
            if credentials.client_id is not None:
                endpoint = TokenEndpoint(
                    settings.api_url,
                    credentials.client_id,
                    credentials.client_secret,
                    clock,
                    settings.request_timeout_seconds,
                )
            source = token_source(credentials, endpoint, scopes, settings, clock)
            bearers.update(dict.fromkeys(apis, Bearer(credentials, endpoint, source, clock)))
        return cls(bearers)

    def credentials(self, api: Api) -> Credentials:
        """Return the credentials of an API."""
        return self._bearers[api].credentials

    def introspect(self, api: Api) -> Introspection | None:
        """Sign in, and ask Autodesk what the token is; None for a ready token of unknown app.

        Raises:
            SignInError: No token is available.
        """
        bearer = self._bearers[api]
        token = bearer.token()
        return None if bearer.endpoint is None else bearer.endpoint.introspect(token)

    def check(self, api: Api) -> None:
        """Refuse credentials that cannot work with an API, before anything is sent.

        Raises:
            ConfigurationError: The flow is one that the API excludes, or has no token to begin
                with.
            SignInError: The token store cannot be read.
        """
        bearer = self._bearers[api]
        check_flow(api, bearer.credentials)
        if isinstance(bearer.source, RefreshChain) and not bearer.source.has_token():
            raise ConfigurationError(
                no_refresh_token(bearer.credentials.client_id or "", bearer.source.store.location)
            )

    def headers(self, api: Api) -> dict[str, str]:
        """Return the headers that sign a request in.

        Raises:
            SignInError: No token is available.
        """
        bearer = self._bearers[api]
        headers = {"Authorization": f"Bearer {bearer.token()}"}
        pat = bearer.credentials.personal_access_token
        if pat and api is Api.INSIGHTS and bearer.credentials.flow is Flow.CLIENT_CREDENTIALS:
            headers["ADSK-PAT"] = pat
        return headers

    def renew(self, api: Api, rejected: dict[str, str]) -> None:
        """Renew after a 401, once for all threads that got it.

        Args:
            api: The API that answered 401.
            rejected: The headers that it rejected, as `headers` gave them.

        Raises:
            SignInError: No other token is available.
        """
        self._bearers[api].renew(rejected["Authorization"].removeprefix("Bearer "))

    def secrets(self) -> list[str]:
        """Return everything that no log may show, as known by now."""
        found: set[str] = set()
        for bearer in set(self._bearers.values()):
            given = bearer.credentials
            found.update(given.secrets())
            if bearer.endpoint is not None:
                found.update(bearer.endpoint.secrets)
            if isinstance(bearer.source, RefreshChain):
                found.update(bearer.source.store.secrets)
            if given.client_id and given.client_secret:
                pair = f"{given.client_id}:{given.client_secret}"
                found.add(base64.b64encode(pair.encode()).decode())
        return sorted(found)
