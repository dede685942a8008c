"""Autodesk's token endpoint: one form goes in, a token or an error comes out.

Documented: form-encoded; a confidential app authenticates in the header or the body, never both
(this module: the header), a public app with `client_id` in the body; 400 with an OAuth `error`,
401, 429, 500.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import requests
from requests.auth import HTTPBasicAuth

from tap_autodesk_exports import signals
from tap_autodesk_exports.json_reading import read_json
from tap_autodesk_exports.redaction import excerpt
from tap_autodesk_exports.settings import API_URL
from tap_autodesk_exports.signin.errors import SIGN_IN_AGAIN, DamagedAnswer, SignInError
from tap_autodesk_exports.transport.exchange import fetch, prepare
from tap_autodesk_exports.transport.failures import explain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_autodesk_exports.clock import Clock

logger = logging.getLogger("tap-autodesk-exports")

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
USERINFO_HOST = "https://api.userprofile.autodesk.com"
"""Documented: the one address of OAuth that is not on the API's host."""
TIMEOUT = (15, 60)
"""Seconds to connect, and to wait for the answer."""
REQUEST_SECONDS = 60.0
"""Seconds that a request may take with its whole answer, where the settings do not say."""
MOST_BYTES = 1 << 20
"""Bytes of an answer: a token has some thousands."""
PAUSES = (1.0, 3.0, 10.0)
"""Seconds before each further attempt."""
LONGEST_RETRY_AFTER = 120.0
LIFETIME = 3600.0
"""Seconds. Documented: an access token is good for 60 minutes."""
LONGEST_LIFETIME = 366 * 86400.0
"""Seconds; more than this is no lifetime of a token."""
LEEWAY_SECONDS = 300.0
"""A token is renewed this long before it expires, or at three quarters of a shorter life."""


@dataclasses.dataclass(frozen=True)
class Token:
    """An access token, and the refresh token that came with it."""

    access_token: str = dataclasses.field(repr=False)
    expires_at: dt.datetime
    renew_at: dt.datetime
    refresh_token: str | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(frozen=True)
class Introspection:
    """What Autodesk says of an access token.

    Attributes:
        active: Whether it is valid.
        scopes: What it opens.
        user: Who signed in: an e-mail address, or an Autodesk ID; None for an app's own token.
    """

    active: bool
    scopes: frozenset[str] = frozenset()
    user: str | None = None


class TokenEndpoint:
    """The OAuth server, as one app sees it.

    Args:
        api_url: The host.
        client_id: The app.
        client_secret: Its secret; None for a public app.
        clock: Tells when tokens expire, and waits between attempts.
        seconds: How long one request may take with its whole answer.

    Attributes:
        secrets: Every token, code and assertion that was sent or received.
    """

    def __init__(
        self,
        api_url: str,
        client_id: str,
        client_secret: str | None,
        clock: Clock,
        seconds: float = REQUEST_SECONDS,
    ) -> None:
        self._seconds = seconds
        self.url = f"{api_url}/authentication/v2/token"
        self.secrets: set[str] = set()
        self._api_url = api_url
        self._client_id = client_id
        self._client_secret = client_secret
        self._clock = clock

    def token(self, form: Mapping[str, str]) -> Token:
        """Exchange a grant for a token.

        Raises:
            DamagedAnswer: The answer has no access token, and a refresh token that must be kept.
            SignInError: Autodesk refused, or could not be reached.
        """
        answer = self._post(self.url, form)
        body = _object(answer)
        access_token, refresh_token = _token(body, "access_token"), _token(body, "refresh_token")
        if access_token is not None:
            return self._read(access_token, refresh_token, body.get("expires_in"))
        msg = (
            f"Sign-in failed: {self.url} answered {answer.status_code} without an access token. Is "
            "'api_url' right, or does a proxy answer in Autodesk's place?"
        )
        if refresh_token is None:
            raise SignInError(msg)
        self.secrets.add(refresh_token)
        raise DamagedAnswer(msg, refresh_token)

    def know(self, token: Token) -> None:
        """Count a token among the secrets."""
        self.secrets.update(filter(None, (token.access_token, token.refresh_token)))

    def introspect(self, access_token: str) -> Introspection:
        """Ask what a token of this app is (documented: `scope` is URL-encoded).

        Raises:
            SignInError: Autodesk refused, or could not be reached.
        """
        url = f"{self._api_url}/authentication/v2/introspect"
        body = _object(self._post(url, {"token": access_token}))
        if not body.get("active"):
            return Introspection(active=False)
        scopes = frozenset(unquote(str(body.get("scope", ""))).replace("+", " ").split())
        user = body.get("userid")
        if user is not None:
            user = self._email(access_token) or str(user)
        return Introspection(active=True, scopes=scopes, user=user)

    def _email(self, access_token: str) -> str | None:
        """Return the user's e-mail address where Autodesk tells it to this token."""
        host = USERINFO_HOST if self._api_url == API_URL else self._api_url
        headers = {"Authorization": f"Bearer {access_token}"}
        try:
            answer = self._fetch(prepare("GET", f"{host}/userinfo", headers=headers))
        except requests.RequestException:
            return None
        email = _object(answer).get("email")
        return email if isinstance(email, str) else None

    def _post(self, url: str, form: Mapping[str, str]) -> requests.Response:
        """POST until there is an answer that another attempt would not change."""
        lost = False
        for pause in (*PAUSES, None):
            try:
                answer = self._attempt(url, form)
            except requests.RequestException as error:
                why = explain(error, urlsplit(url).netloc)
                lost = lost or why.was_sent
                failure = SignInError(
                    f"Sign-in failed: {why.what} ({type(error).__name__}). {why.advice}",
                    is_unreachable=True,
                )
                if why.is_lasting:
                    raise failure from None
                asked = 0.0
            else:
                if answer.ok and not answer.is_redirect:
                    return answer
                failure = self._refusal(answer, form, lost=lost)
                asked = _retry_after(answer)
                if answer.status_code not in _PASSING or asked > LONGEST_RETRY_AFTER:
                    raise failure
            if pause is None:
                raise failure
            logger.info("%s Trying again in %.0f s.", failure, max(pause, asked))
            if self._clock.wait(max(pause, asked), signals.came):
                raise failure
        raise AssertionError  # the last pause is None

    def _attempt(self, url: str, form: Mapping[str, str]) -> requests.Response:
        """Send the form once; the app's credentials are in one place only."""
        self.secrets.update(value for name, value in form.items() if name in _SECRET_FIELDS)
        if self._client_secret is None:
            form = {**form, "client_id": self._client_id}
            return self._fetch(prepare("POST", url, data=form))
        auth = HTTPBasicAuth(self._client_id, self._client_secret)
        return self._fetch(prepare("POST", url, data=form, auth=auth))

    def _fetch(self, request: requests.PreparedRequest) -> requests.Response:
        """Send a request; a redirect is not followed."""
        connect, silence = TIMEOUT
        return fetch(
            request,
            most=MOST_BYTES,
            seconds=self._seconds,
            connect=min(connect, self._seconds),
            silence=min(silence, self._seconds),
        )

    def _read(self, access_token: str, refresh_token: str | None, expires_in: object) -> Token:
        now = self._clock.now()
        lifetime = _lifetime(expires_in)
        leeway = min(LEEWAY_SECONDS, lifetime / 4)
        token = Token(
            access_token=access_token,
            expires_at=now + dt.timedelta(seconds=lifetime),
            renew_at=now + dt.timedelta(seconds=lifetime - leeway),
            refresh_token=refresh_token,
        )
        self.know(token)
        return token

    def _refusal(
        self, answer: requests.Response, form: Mapping[str, str], *, lost: bool
    ) -> SignInError:
        error, said = _said(answer, [*form.values(), self._client_secret or ""])
        advice = _advice(answer.status_code, error, form.get("grant_type", ""))
        if lost and error == "invalid_grant":
            advice = (
                "The answer to an earlier attempt was lost on the way, and with it the only "
                f"valid refresh token. {SIGN_IN_AGAIN}"
            )
        return SignInError(f"Sign-in failed: {self.url} answered {said}. {advice}")


_VISIBLE = re.compile(r"[!-~]+")
"""What can be sent in a header."""
_SECRET_FIELDS = {"refresh_token", "assertion", "code", "code_verifier", "token"}
_PASSING = {429, 500, 502, 503, 504}


def _object(answer: requests.Response) -> dict[str, Any]:
    """Return the JSON object of an answer; an empty one where there is none."""
    try:
        body = read_json(answer.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _token(body: Mapping[str, Any], name: str) -> str | None:
    """Return a token that can be sent again; one that is empty or no text is none."""
    value = body.get(name)
    if not isinstance(value, str) or not _VISIBLE.fullmatch(value):
        return None
    return value


def _lifetime(expires_in: object) -> float:
    """Return the seconds that an access token is good for, whatever the answer says of it.

    By then a refresh token is used up: what is said badly must not cost its successor. Where the
    guess is too long, the API answers 401 and the token is renewed.
    """
    try:
        seconds = float(expires_in)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        seconds = 0.0
    if isinstance(expires_in, bool) or not 0 < seconds < LONGEST_LIFETIME:
        logger.warning(
            "The token endpoint does not say how long the access token is good for: taken for %d "
            "minutes, as documented.",
            LIFETIME / 60,
        )
        return LIFETIME
    return seconds


def _retry_after(answer: requests.Response) -> float:
    """Return the seconds that a 429 asks to wait (documented: a number)."""
    value = answer.headers.get("Retry-After", "").strip()
    return float(value) if value.isascii() and value.isdecimal() else 0.0


def _said(answer: requests.Response, hidden: list[str]) -> tuple[str, str]:
    """Return the OAuth error code, and the status with the server's words, secrets cut out."""
    body = _object(answer)
    error = str(body.get("error") or body.get("errorCode") or "")
    words = str(body.get("error_description") or body.get("developerMessage") or "")
    for secret in filter(None, hidden):
        words = words.replace(secret, "…")
    said = ": ".join(filter(None, (excerpt(error, 100), excerpt(words, 200).rstrip("."))))
    for secret in filter(None, hidden):
        said = said.replace(secret, "…")
    return error, f"{answer.status_code} ({said})" if said else str(answer.status_code)


_ADVICE = {
    ("invalid_grant", "refresh_token"): (
        "The refresh token was used before, or is older than 15 days, or belongs to another app. "
        + SIGN_IN_AGAIN
    ),
    ("invalid_grant", "authorization_code"): (
        "The sign-in took too long or was used twice: start `autodesk-exports login` again."
    ),
    ("invalid_grant", JWT_BEARER): (
        "The service account's assertion was not accepted: check 'service_account_id', "
        "'service_account_key_id' and 'service_account_private_key', that they belong to "
        "'client_id', and this machine's clock."
    ),
}


def _advice(status: int, error: str, grant_type: str) -> str:
    """Say what to do about a refusal."""
    if status in _PASSING:
        return "Autodesk cannot answer now: run again later."
    if status == requests.codes.unauthorized or error == "invalid_client":
        return (
            "Autodesk does not know this app: check 'client_id' and 'client_secret' (a public app "
            "has no secret, and every other app needs one)."
        )
    if error in {"unauthorized_client", "unsupported_grant_type"}:
        return (
            "This kind of app cannot sign in this way: choose another 'auth_flow', or make an app "
            "of the kind that it needs."
        )
    if error == "invalid_scope":
        return "Add the APIs to the app in Autodesk's developer portal."
    return _ADVICE.get(
        (error, grant_type), "Check 'auth_flow' and the credentials in the settings."
    )
