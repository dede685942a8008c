"""Autodesk's OAuth v2 server as documented: who gets which token, and what a token allows.

Documented: authorization code with PKCE (S256), single-use refresh tokens of 15 days that rotate,
client credentials in the header or the body but not in both, RS256 assertions of service accounts,
`expires_in` 3599, revoke, introspect, and the plain-text 403 of the gateway.
Assumed: the wording of the token endpoint's errors beyond their OAuth codes, and that a two-legged
token is refused with the same plain-text 403 where a user is needed.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import functools
import hashlib
import hmac
import secrets
import threading
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlencode, urlsplit

import flask
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from tap_autodesk_exports.sandbox import credentials

if TYPE_CHECKING:
    from collections.abc import Callable

SCOPES = frozenset({"data:create", "data:read", "data:write"})
"""Scopes that the sandbox's apps may request."""
ACCESS_TOKEN_SECONDS = 3599
REFRESH_TOKEN_DAYS = 15
CODE_MINUTES = 5
ASSERTION_SECONDS = 300
VERIFIER_LENGTHS = range(43, 129)
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"

_PAGE = """<!doctype html>
<title>Sandbox sign-in</title>
<h1>Sandbox sign-in</h1>
<p>Allow the app {{ client_id }} to act for {{ email }}: {{ scope }}</p>
<form method="post">
<button id="allow" name="answer" value="allow">Allow</button>
<button id="deny" name="answer" value="deny">Deny</button>
</form>
"""


class _Clock(Protocol):
    def now(self) -> dt.datetime: ...


@dataclasses.dataclass(frozen=True)
class _App:
    client_id: str
    secret: str | None
    three_legged: bool = True
    tied_to_admin: bool = False


@dataclasses.dataclass
class _Grant:
    """What a token or a code grants; `user_id` is None where no user signed in."""

    client_id: str
    scopes: frozenset[str]
    expires_at: dt.datetime
    user_id: str | None


@dataclasses.dataclass
class _Code(_Grant):
    redirect_uri: str
    challenge: str | None


class _OAuthError(Exception):
    """An answer of the token endpoint other than a token."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.response = flask.jsonify(error=error, error_description=description)
        self.response.status_code = status


class Authentication:
    """The OAuth server, and the check of tokens for every endpoint.

    Args:
        clock: Decides when tokens expire.
        known: The secrets of the apps and the user; random by default.
        sign_in: Whether the consent page lets anyone sign in. It asks for no password, so whoever
            reaches it can.

    Attributes:
        known: The secrets of the apps and the user.
        blueprint: The routes below `/authentication/v2`, and `/userinfo`.
        access_token_seconds: How long the next access tokens last.
        answered: Grant type -> how many tokens were handed out for it.
    """

    def __init__(
        self, clock: _Clock, known: credentials.Secrets | None = None, *, sign_in: bool = True
    ) -> None:
        self.known = known or credentials.Secrets()
        self.access_token_seconds = ACCESS_TOKEN_SECONDS
        self.answered: dict[str, int] = {}
        self._clock = clock
        self._sign_in = sign_in
        self._lock = threading.Lock()
        self._apps = {
            app.client_id: app
            for app in (
                _App(credentials.CLIENT_ID, self.known.client_secret),
                _App(credentials.PUBLIC_CLIENT_ID, None),
                _App(
                    credentials.TWO_LEGGED_CLIENT_ID,
                    self.known.two_legged_client_secret,
                    three_legged=False,
                    tied_to_admin=True,
                ),
            )
        }
        self._codes: dict[str, _Code] = {}
        self._refresh_tokens = {
            self.known.refresh_token: self._seed(credentials.CLIENT_ID),
            self.known.public_refresh_token: self._seed(credentials.PUBLIC_CLIENT_ID),
        }
        self._access_tokens: dict[str, _Grant] = {}
        self.renew_ready_token()
        self._secrets = self.known.all()
        self.blueprint = self._routes()

    @functools.cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @functools.cached_property
    def private_key_pem(self) -> str:
        """The service account's private key, PEM text, generated for this sandbox only."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()
        self._secrets.add(pem)
        return pem

    def secrets(self) -> list[str]:
        """Return every secret known or handed out: tokens, codes, verifiers, assertions, keys."""
        with self._lock:
            return sorted(self._secrets)

    def renew_ready_token(self) -> None:
        """Make the ready access token valid for another hour."""
        with self._lock:
            ready = self._seed(credentials.CLIENT_ID)
            ready.expires_at = self._in(seconds=ACCESS_TOKEN_SECONDS)
            self._access_tokens[self.known.access_token] = ready

    def forget_access_tokens(self) -> None:
        """Make every access token invalid at once, as a revocation during a run would."""
        with self._lock:
            self._access_tokens.clear()

    # The check of tokens, for the three APIs.

    def refusal(self, scope: str, *, two_legged: bool = False) -> flask.Response | None:
        """Return the documented refusal of the current request, or None if it may pass.

        Args:
            scope: The scope that the endpoint documents.
            two_legged: Whether a token without a user passes if its app is tied to an admin (Token
                Flex).
        """
        kind, _, token = flask.request.headers.get("Authorization", "").partition(" ")
        with self._lock:
            grant = self._access_tokens.get(token) if kind == "Bearer" else None
        if grant is None or grant.expires_at <= self._clock.now():
            return _json(401, developerMessage="Access token provided is invalid or expired.")
        if scope not in grant.scopes:
            return _no_privilege()
        if grant.user_id is None and not self._acts_for_a_user(grant, two_legged=two_legged):
            return _no_privilege()
        return None

    def _acts_for_a_user(self, grant: _Grant, *, two_legged: bool) -> bool:
        """Return whether an app's own token passes.

        Observed: Insights accepts one together with a personal access token. Documented: Token
        Flex accepts one of an app that Autodesk has tied to an admin.
        """
        if two_legged:
            return self._apps[grant.client_id].tied_to_admin
        pat = flask.request.headers.get("ADSK-PAT", "")
        return (
            flask.request.path.startswith("/insights/")
            and grant.client_id == credentials.CLIENT_ID
            and hmac.compare_digest(pat.encode(), self.known.personal_access_token.encode())
        )

    # The OAuth endpoints.

    def _routes(self) -> flask.Blueprint:
        blueprint = flask.Blueprint("authentication", __name__)
        v2 = "/authentication/v2"
        blueprint.add_url_rule(
            f"{v2}/authorize", view_func=self._authorize, methods=["GET", "POST"]
        )
        blueprint.add_url_rule(f"{v2}/token", view_func=self._token, methods=["POST"])
        blueprint.add_url_rule(f"{v2}/introspect", view_func=self._introspect, methods=["POST"])
        blueprint.add_url_rule(f"{v2}/revoke", view_func=self._revoke, methods=["POST"])
        blueprint.add_url_rule("/userinfo", view_func=self._userinfo)
        blueprint.register_error_handler(_OAuthError, lambda error: error.response)
        return blueprint

    def _authorize(self) -> flask.Response:
        """Show the consent page, and redirect its answer to the loopback address of the app."""
        asked = flask.request.args
        app = self._apps.get(asked.get("client_id", ""))
        redirect_uri = asked.get("redirect_uri", "")
        if app is None or not _is_loopback(redirect_uri):
            return _json(400, developerMessage="The client_id or redirect_uri is not registered.")
        problem = _authorize_problem(app, asked.to_dict())
        if problem is None and not self._sign_in:
            problem = "access_denied"
        if problem is None and flask.request.method == "GET":
            page = flask.render_template_string(
                _PAGE,
                client_id=app.client_id,
                email=credentials.USER_EMAIL,
                scope=asked["scope"],
            )
            return flask.make_response(page)
        if problem is None and flask.request.form.get("answer") != "allow":
            problem = "access_denied"
        if problem is not None:
            answer = {"error": problem}
        else:
            answer = {"code": self._new_code(app, redirect_uri)}
        if "state" in asked:
            answer["state"] = asked["state"]
        separator = "&" if urlsplit(redirect_uri).query else "?"
        location = f"{redirect_uri}{separator}{urlencode(answer)}"
        return flask.make_response("", 302, {"Location": location})

    def _new_code(self, app: _App, redirect_uri: str) -> str:
        asked = flask.request.args
        code = secrets.token_urlsafe(30)
        with self._lock:
            self._codes[code] = _Code(
                app.client_id,
                frozenset(asked["scope"].split()),
                self._in(minutes=CODE_MINUTES),
                credentials.USER_ID,
                redirect_uri,
                asked.get("code_challenge"),
            )
            self._secrets.add(code)
        return code

    def _token(self) -> flask.Response:
        if flask.request.mimetype != "application/x-www-form-urlencoded":
            return _json(415, developerMessage="The Content-Type is not form-encoded.")
        app = self._authenticated_app()
        grant_type = flask.request.form.get("grant_type", "")
        grants: dict[str, Callable[[_App], _Grant]] = {
            "authorization_code": self._by_code,
            "refresh_token": self._by_refresh_token,
            "client_credentials": self._by_client_credentials,
            JWT_BEARER: self._by_assertion,
        }
        if grant_type not in grants:
            error = "unsupported_grant_type"
            raise _OAuthError(error, f"The grant_type {grant_type!r} is not supported.")
        with self._lock:
            grant = grants[grant_type](app)
            self.answered[grant_type] = self.answered.get(grant_type, 0) + 1
            return flask.jsonify(
                self._issue(
                    grant, refreshable=grant_type in {"authorization_code", "refresh_token"}
                )
            )

    def _authenticated_app(self) -> _App:
        """Find the app by its credentials: in the header or the body, both are a 400."""
        header = flask.request.authorization
        form = flask.request.form
        if header is not None and ("client_id" in form or "client_secret" in form):
            error = "invalid_request"
            raise _OAuthError(error, "Client credentials are in the header and in the body.")
        if header is not None:
            client_id, secret = header.get("username"), header.get("password")
        else:
            client_id, secret = form.get("client_id"), form.get("client_secret")
        app = self._apps.get(client_id or "")
        if app is None or not hmac.compare_digest(
            (app.secret or "").encode(), (secret or "").encode()
        ):
            error = "invalid_client"
            raise _OAuthError(error, "The client_id and client_secret are not valid.", 401)
        return app

    def _by_code(self, app: _App) -> _Grant:
        form = flask.request.form
        code = self._codes.pop(form.get("code", ""), None)
        error = "invalid_grant"
        if code is None or code.client_id != app.client_id or code.expires_at <= self._clock.now():
            raise _OAuthError(error, "The authorization code is invalid or expired.")
        if code.redirect_uri != form.get("redirect_uri"):
            raise _OAuthError(error, "The redirect_uri is not the one that was authorized.")
        if code.challenge is not None:
            verifier = form.get("code_verifier", "")
            self._secrets.add(verifier)
            if len(verifier) not in VERIFIER_LENGTHS or _s256(verifier) != code.challenge:
                raise _OAuthError(error, "The code_verifier does not match the code_challenge.")
        return code

    def _by_refresh_token(self, app: _App) -> _Grant:
        """Accept a refresh token, which is used up by this, whatever becomes of the answer."""
        token = flask.request.form.get("refresh_token", "")
        grant = self._refresh_tokens.get(token)
        if (
            grant is None
            or grant.client_id != app.client_id
            or grant.expires_at <= self._clock.now()
        ):
            error = "invalid_grant"
            raise _OAuthError(error, "The refresh token is invalid or expired.")
        scopes = self._scopes(grant.scopes)
        del self._refresh_tokens[token]
        return dataclasses.replace(grant, scopes=scopes)

    def _by_client_credentials(self, app: _App) -> _Grant:
        if app.secret is None:
            error = "unauthorized_client"
            raise _OAuthError(error, "A public app has no client credentials.")
        return _Grant(app.client_id, self._scopes(SCOPES), self._clock.now(), None)

    def _by_assertion(self, app: _App) -> _Grant:
        """Check a service account's assertion: signature, key, issuer, audience and expiry."""
        assertion = flask.request.form.get("assertion", "")
        self._secrets.add(assertion)
        error = "invalid_grant"
        try:
            key = RSAKey.import_key(self._public_key_pem())
            token = jwt.decode(assertion, key, algorithms=["RS256"])
        except (JoseError, ValueError):
            raise _OAuthError(error, "The assertion's signature is not valid.") from None
        claims = token.claims
        now = self._clock.now().timestamp()
        if token.header.get("kid") != credentials.SERVICE_ACCOUNT_KEY_ID:
            raise _OAuthError(error, "The assertion's kid is not a key of the service account.")
        if claims.get("iss") != app.client_id or app.secret is None or not app.three_legged:
            raise _OAuthError(error, "The assertion's iss is not the client_id.")
        if claims.get("sub") != credentials.SERVICE_ACCOUNT_ID:
            raise _OAuthError(error, "The assertion's sub is not a service account of the app.")
        if claims.get("aud") != flask.request.base_url:
            raise _OAuthError(error, "The assertion's aud is not this token address.")
        if not now < claims.get("exp", 0) <= now + ASSERTION_SECONDS:
            raise _OAuthError(error, "The assertion's exp is past or more than 300 s ahead.")
        scopes = frozenset(claims.get("scope", ()))
        if not scopes or not scopes <= SCOPES:
            error = "invalid_scope"
            raise _OAuthError(error, "The assertion's scope is empty or not known.")
        return _Grant(app.client_id, scopes, self._clock.now(), claims["sub"])

    def _public_key_pem(self) -> bytes:
        return self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def _scopes(self, allowed: frozenset[str]) -> frozenset[str]:
        """Return the requested scopes; none requested means all that are allowed."""
        asked = frozenset(flask.request.form.get("scope", "").split())
        if not asked <= allowed:
            error = "invalid_scope"
            raise _OAuthError(error, "A requested scope is unknown or was not granted.")
        return asked or allowed

    def _issue(self, grant: _Grant, *, refreshable: bool) -> dict[str, str | int]:
        expires_at = self._in(seconds=self.access_token_seconds)
        access_token = secrets.token_urlsafe(48)
        self._access_tokens[access_token] = _Grant(
            grant.client_id, grant.scopes, expires_at, grant.user_id
        )
        self._secrets.add(access_token)
        answer: dict[str, str | int] = {
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": self.access_token_seconds,
        }
        if refreshable:
            refresh_token = secrets.token_urlsafe(30)
            self._refresh_tokens[refresh_token] = _Grant(
                grant.client_id, grant.scopes, self._in(days=REFRESH_TOKEN_DAYS), grant.user_id
            )
            self._secrets.add(refresh_token)
            answer["refresh_token"] = refresh_token
        return answer

    def _introspect(self) -> flask.Response:
        """Describe a token; an app sees only its own."""
        app = self._authenticated_app()
        with self._lock:
            grant = self._access_tokens.get(flask.request.form.get("token", ""))
        if (
            grant is None
            or grant.client_id != app.client_id
            or grant.expires_at <= self._clock.now()
        ):
            return flask.jsonify(active=False)
        answer: dict[str, object] = {
            "active": True,
            "scope": quote(" ".join(sorted(grant.scopes))),
            "client_id": grant.client_id,
            "exp": int(grant.expires_at.timestamp()),
        }
        if grant.user_id is not None:
            answer["userid"] = grant.user_id
        return flask.jsonify(answer)

    def _userinfo(self) -> flask.Response:
        """Answer who signed in (documented; Autodesk serves it on a separate host)."""
        if refused := self.refusal("data:read"):
            return refused
        return flask.jsonify(
            sub=credentials.USER_ID, name="Sandbox Admin", email=credentials.USER_EMAIL
        )

    def _revoke(self) -> flask.Response:
        app = self._authenticated_app()
        token = flask.request.form.get("token", "")
        with self._lock:
            for tokens in (self._access_tokens, self._refresh_tokens):
                grant = tokens.get(token)
                if grant is not None and grant.client_id == app.client_id:
                    del tokens[token]
        return flask.make_response("", 200)

    def _seed(self, client_id: str) -> _Grant:
        return _Grant(client_id, SCOPES, self._in(days=REFRESH_TOKEN_DAYS), credentials.USER_ID)

    def _in(self, **time: float) -> dt.datetime:
        return self._clock.now() + dt.timedelta(**time)


def _authorize_problem(app: _App, asked: dict[str, str]) -> str | None:
    """Return the OAuth error code of an authorize request, or None."""
    if not app.three_legged:
        return "unauthorized_client"
    if asked.get("response_type") != "code":
        return "unsupported_response_type"
    scopes = set(asked.get("scope", "").split())
    if not scopes or not scopes <= SCOPES:
        return "invalid_scope"
    challenged = "code_challenge" in asked and asked.get("code_challenge_method") == "S256"
    if app.secret is None and not challenged:
        return "invalid_request"
    return None


def _is_loopback(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost"}


def _s256(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _json(status: int, **body: str) -> flask.Response:
    response = flask.jsonify(body)
    response.status_code = status
    return response


def _no_privilege() -> flask.Response:
    return flask.make_response(
        "Token does not have the privilege for this request.",
        403,
        {"Content-Type": "text/plain"},
    )
