"""The sandbox's OAuth server alone, with one guarded address for each API, on a port of its own."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import flask
import requests
from werkzeug.serving import WSGIRequestHandler, make_server

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.sandbox import credentials
from tap_autodesk_exports.sandbox.authentication import Authentication
from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.signin import SignIn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRETS = credentials.Secrets(
    client_secret="made-up-client-secret-1",
    two_legged_client_secret="made-up-client-secret-3",
    refresh_token="MadeUpSeedRefreshTokenOfTheConfidentialApp",
    public_refresh_token="MadeUpSeedRefreshTokenOfThePublicApp",
    access_token="MadeUpReadyThreeLeggedAccessToken",
    personal_access_token="MadeUpPersonalAccessToken",
)
"""Secrets that tests know beforehand: `Sandbox(secrets=SECRETS)`."""
CONFIDENTIAL = {"client_id": credentials.CLIENT_ID, "client_secret": SECRETS.client_secret}
TIED = {
    "client_id": credentials.TWO_LEGGED_CLIENT_ID,
    "client_secret": SECRETS.two_legged_client_secret,
}
WITH_PAT = {**CONFIDENTIAL, "personal_access_token": SECRETS.personal_access_token}
WITH_REFRESH_TOKEN = {**CONFIDENTIAL, "refresh_token": SECRETS.refresh_token}
PUBLIC_WITH_REFRESH_TOKEN = {
    "client_id": credentials.PUBLIC_CLIENT_ID,
    "refresh_token": SECRETS.public_refresh_token,
}
WITH_ACCESS_TOKEN = {"access_token": SECRETS.access_token}

PATHS = {
    Api.INSIGHTS: "/insights/v1/guarded",
    Api.TOKENFLEX: "/tokenflex/v1/guarded",
    Api.DATA_CONNECTOR: "/data-connector/v1/guarded",
}


class HandClock:
    """A clock that moves when it is told to, and remembers how long it was asked to wait."""

    def __init__(self) -> None:
        self.instant = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
        self.waited: list[float] = []

    def now(self) -> dt.datetime:
        return self.instant

    def monotonic(self) -> float:
        return self.instant.timestamp()

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        self.waited.append(seconds)
        self.advance(seconds)
        return stop.is_set()

    def advance(self, seconds: float) -> None:
        self.instant += dt.timedelta(seconds=seconds)


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """Write no access log."""


@dataclasses.dataclass
class Changed:
    """The real answer, its body changed in place."""

    change: Callable[[dict[str, Any]], object]


class OAuthServer:
    """Serves until it is closed.

    Attributes:
        clock: The server's clock; hand it to the client as well.
        authentication: The server itself.
        answers: What to answer instead, one entry for each next request to the token endpoint:
            a response, or None for the real answer, "slow" for that a second later, "lose" to
            carry out and hang up, or `Changed` to change the body of the real answer.
        forms: The forms that the token endpoint got.
    """

    def __init__(self, clock: Any = None) -> None:
        self.clock = clock or HandClock()
        self.authentication = Authentication(self.clock, SECRETS)
        self.answers: list[Any] = []
        self.forms: list[dict[str, str]] = []
        app = flask.Flask(__name__)
        app.register_blueprint(self.authentication.blueprint)
        app.before_request(self._before)
        app.after_request(self._after)
        for api, path in PATHS.items():
            app.add_url_rule(path, api.value, self._guarded(api))
        self._server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _guarded(self, api: Api):
        scope = {Api.DATA_CONNECTOR: "data:create"}.get(api, "data:write")

        def view() -> flask.Response:
            refused = self.authentication.refusal(scope, two_legged=api is Api.TOKENFLEX)
            return refused or flask.jsonify(ok=True)

        return view

    def _before(self) -> flask.Response | None:
        if not flask.request.path.endswith("/token"):
            return None
        self.forms.append(flask.request.form.to_dict())
        flask.g.answer = self.answers.pop(0) if self.answers else None
        return flask.g.answer if isinstance(flask.g.answer, flask.Response) else None

    def _after(self, response: flask.Response) -> flask.Response:
        if flask.g.get("answer") == "slow":
            time.sleep(1)
        if isinstance(flask.g.get("answer"), Changed):
            body = response.get_json()
            flask.g.answer.change(body)
            response.set_data(json.dumps(body))
        if flask.g.get("answer") == "lose":
            flask.request.environ["werkzeug.socket"].shutdown(2)
        return response

    def settings(self, folder: Path | None = None, **given: Any) -> Settings:
        store = {} if folder is None else {"token_store": str(folder / "tokens.json")}
        return Settings.from_config({"api_url": self.url, **store, **given})

    def sign_in(self, folder: Path | None = None, **given: Any) -> SignIn:
        return SignIn.from_settings(self.settings(folder, **given), self.clock)

    def status(self, api: Api, headers: dict[str, str]) -> int:
        """Ask a guarded address and return the status."""
        return requests.get(self.url + PATHS[api], headers=headers, timeout=10).status_code


def response(status: int, body: str = "", **headers: str) -> flask.Response:
    return flask.Response(body, status, {name.replace("_", "-"): v for name, v in headers.items()})
