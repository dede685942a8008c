"""The four documented ways to a token; each can be asked again when its token ends."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from tap_autodesk_exports import signals
from tap_autodesk_exports.apis import Flow
from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.signin.endpoint import JWT_BEARER, Token, TokenEndpoint
from tap_autodesk_exports.signin.errors import SIGN_IN_AGAIN, DamagedAnswer, SignInError, StoreError
from tap_autodesk_exports.signin.store import TokenStore, default_location

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.settings import Settings
    from tap_autodesk_exports.signin.credentials import Credentials

logger = logging.getLogger("tap-autodesk-exports")

ASSERTION_SECONDS = 240
"""Documented: `exp` at most 300 s ahead. The rest is for clocks that differ."""


class TokenSource(Protocol):
    """A flow with its credentials."""

    def sign_in(self, rejected: str | None) -> Token:
        """Return a token other than `rejected`.

        Raises:
            SignInError: No token is available.
        """
        ...


def token_source(
    credentials: Credentials,
    endpoint: TokenEndpoint | None,
    scopes: Sequence[str],
    settings: Settings,
    clock: Clock,
) -> TokenSource:
    """Return the flow of the credentials; nothing is sent yet."""
    if credentials.flow is Flow.ACCESS_TOKEN or endpoint is None:
        return ReadyToken(_text(credentials.access_token))
    match credentials.flow:
        case Flow.CLIENT_CREDENTIALS:
            return ClientCredentials(endpoint, scopes)
        case Flow.SERVICE_ACCOUNT:
            return ServiceAccount(endpoint, scopes, credentials, clock)
    return RefreshChain(endpoint, credentials, settings, clock)


def _text(value: str | None) -> str:
    if value is None:
        raise AssertionError
    return value


class ReadyToken:
    """A token that the user brought; it cannot be renewed."""

    def __init__(self, access_token: str) -> None:
        never = dt.datetime.max.replace(tzinfo=dt.UTC)
        self._token = Token(access_token, expires_at=never, renew_at=never)

    def sign_in(self, rejected: str | None) -> Token:
        """Return it as long as nobody rejected it."""
        if rejected is not None:
            msg = (
                "The access token in setting 'access_token' is invalid or expired, and cannot be "
                "renewed: set a new one, or set 'auth_flow' to a flow that renews its tokens."
            )
            raise SignInError(msg)
        return self._token


class ClientCredentials:
    """An app signs in as itself (two-legged)."""

    def __init__(self, endpoint: TokenEndpoint, scopes: Sequence[str]) -> None:
        self._endpoint = endpoint
        self._scope = " ".join(scopes)

    def sign_in(self, rejected: str | None) -> Token:  # noqa: ARG002
        """Ask for a new token."""
        return self._endpoint.token({"grant_type": "client_credentials", "scope": self._scope})


class ServiceAccount:
    """A Secure Service Account signs an assertion and exchanges it for a three-legged token."""

    def __init__(
        self,
        endpoint: TokenEndpoint,
        scopes: Sequence[str],
        credentials: Credentials,
        clock: Clock,
    ) -> None:
        self._endpoint = endpoint
        self._scopes = list(scopes)
        self._credentials = credentials
        self._clock = clock

    def sign_in(self, rejected: str | None) -> Token:  # noqa: ARG002
        """Sign a new assertion and exchange it.

        Raises:
            ConfigurationError: The private key is no RSA key.
            SignInError: As `TokenEndpoint.token`.
        """
        return self._endpoint.token({"grant_type": JWT_BEARER, "assertion": self._assertion()})

    def _assertion(self) -> str:
        """Return the documented JWT: RS256, `kid`, `iss`, `sub`, `aud`, `exp`, `scope`."""
        # Cryptography takes long to load, and only this flow needs it.
        from joserfc import jwt  # noqa: PLC0415
        from joserfc.errors import JoseError  # noqa: PLC0415
        from joserfc.jwk import RSAKey  # noqa: PLC0415

        given = self._credentials
        claims = {
            "iss": given.client_id,
            "sub": given.service_account_id,
            "aud": self._endpoint.url,
            "exp": int(self._clock.now().timestamp()) + ASSERTION_SECONDS,
            "scope": self._scopes,
        }
        header = {"alg": "RS256", "kid": given.service_account_key_id}
        try:
            key = RSAKey.import_key(_text(given.service_account_private_key))
            return jwt.encode(header, claims, key, algorithms=["RS256"])
        except (JoseError, ValueError, TypeError):
            msg = (
                "Setting 'service_account_private_key' is not an RSA private key in PEM form: give "
                "the key that was downloaded when it was made."
            )
            raise ConfigurationError(msg) from None


class RefreshChain:
    """A user signed in once; each refresh token is good for one use and brings the next.

    The next one is stored before the new access token is used for anything. The access token is
    stored with it, so that a run within its hour needs no renewal at all. Scopes are those of the
    sign-in: none are asked for, as it is not documented whether a narrower access token would
    narrow the chain.

    Attributes:
        store: Where the chain is kept.
    """

    def __init__(
        self,
        endpoint: TokenEndpoint,
        credentials: Credentials,
        settings: Settings,
        clock: Clock,
    ) -> None:
        client_id = _text(credentials.client_id)
        self.store = TokenStore(settings.token_store or default_location(client_id))
        self._endpoint = endpoint
        self._client_id = client_id
        self._seed = credentials.refresh_token
        self._chain = credentials.chain(settings.api_url)
        self._clock = clock
        self._is_default_store = settings.token_store is None
        self._unstored: str | None = None

    def sign_in(self, rejected: str | None) -> Token:
        """Return the stored access token where it is still good, else use the refresh token.

        Raises:
            SignInError: There is no refresh token, or Autodesk refused it.
            StoreError: The store cannot be used; no token was used up.
        """
        if self._unstored is not None:
            return self._without_store(self._unstored)
        stored = None
        try:
            with self.store.locked():
                stored = self.store.read(self._chain)
                if stored is not None:
                    self._endpoint.know(stored)
                    if stored.access_token != rejected and self._clock.now() < stored.renew_at:
                        return stored
                refresh_token = self._newest_of(stored)
                self.store.reserve()
                return self._with_store(refresh_token, is_seed=stored is None)
        except StoreError as error:
            if not self._is_default_store or stored is not None or self._seed is None:
                raise
            logger.warning("%s", error)
            return self._without_store(self._seed)

    def begin(self, form: Mapping[str, str]) -> Token:
        """Exchange the code of a new sign-in, and store what comes as this chain's newest token.

        Raises:
            SignInError: Autodesk refused.
            StoreError: The store cannot be used.
        """
        with self.store.locked():
            self.store.reserve()
            return self._exchanged(form, self._write)

    def has_token(self) -> bool:
        """Return whether there is anything to begin with.

        Raises:
            SignInError: The store holds something else, or cannot be read.
        """
        return self._seed is not None or self.store.read(self._chain) is not None

    def _newest_of(self, stored: Token | None) -> str:
        newest = self._seed if stored is None else stored.refresh_token
        if newest is None:
            raise SignInError(no_refresh_token(self._client_id, self.store.location))
        return newest

    def _with_store(self, refresh_token: str, *, is_seed: bool) -> Token:
        token = self._renewed(refresh_token, self._store)
        if is_seed and self._is_default_store and self._unstored is None:
            logger.warning(
                "The refresh token of the settings is used up now; its successor is in %s. "
                "Where that file does not outlive the run (a container without a volume), the "
                "next run cannot sign in: set 'token_store' to a place that does.",
                self.store.location,
            )
        return token

    def _without_store(self, refresh_token: str) -> Token:
        token = self._renewed(refresh_token, self._remember)
        logger.warning("There is no token store. %s", LOST_AFTER_THIS_RUN)
        return token

    def _renewed(self, refresh_token: str, keep: Callable[[Token], None]) -> Token:
        """Use a refresh token up, and keep its successor."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return self._exchanged(form, keep, refresh_token)

    def _exchanged(
        self, form: Mapping[str, str], keep: Callable[[Token], None], present: str | None = None
    ) -> Token:
        """Exchange a grant, and keep what comes before anything else can happen.

        Args:
            form: The grant.
            keep: Keeps the newest token.
            present: The refresh token that stays good where the server sends no other.

        Raises:
            SignInError: Autodesk refused, or could not be reached.
        """

        def task() -> Token:
            try:
                token = self._endpoint.token(form)
            except DamagedAnswer as error:
                now = self._clock.now()
                keep(Token("", expires_at=now, renew_at=now, refresh_token=error.refresh_token))
                raise
            if token.refresh_token is None:
                token = dataclasses.replace(token, refresh_token=present)
            keep(token)
            return token

        return _uninterrupted(task)

    def _store(self, token: Token) -> None:
        """Store the newest token, or remember it for this run where the store breaks."""
        try:
            self._write(token)
        except StoreError as error:
            logger.error("%s %s", error, LOST_AFTER_THIS_RUN)  # noqa: TRY400
            self._remember(token)

    def _write(self, token: Token) -> None:
        self.store.write(self._chain, token, self._clock.now())

    def _remember(self, token: Token) -> None:
        self._unstored = token.refresh_token


LOST_AFTER_THIS_RUN = (
    "THE NEXT RUN CANNOT SIGN IN: the refresh token was used up by this one, and its successor is "
    "known to this process alone. Set 'token_store' to a file or URL that can be written, then: "
    + SIGN_IN_AGAIN
)


def no_refresh_token(client_id: str, location: str) -> str:
    """Say that a chain has no beginning."""
    return (
        f"There is no refresh token for the app {client_id}, neither in setting 'refresh_token' "
        f"nor in the token store {location}. {SIGN_IN_AGAIN}"
    )


def _uninterrupted(task: Callable[[], Token]) -> Token:
    """Run a task to its end even when a signal comes meanwhile.

    An answer on its way is still stored when a run is stopped: no signal ends the process before,
    and a process that ends by itself waits for its pools.
    """
    with (
        signals.uninterrupted(),
        ThreadPoolExecutor(max_workers=1, thread_name_prefix="sign-in") as pool,
    ):
        return pool.submit(task).result()
