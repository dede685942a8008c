"""The sandbox's own endpoints, for users and tests with the tap in another process."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, Protocol

import flask

from tap_autodesk_exports.sandbox.clock import instant, iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_autodesk_exports.sandbox.behaviour import Behaviour
    from tap_autodesk_exports.sandbox.clock import SandboxClock
    from tap_autodesk_exports.sandbox.data_connector.api import DataConnector
    from tap_autodesk_exports.sandbox.faults import Faults
    from tap_autodesk_exports.sandbox.record import Posted, Request, Served
    from tap_autodesk_exports.sandbox.stranger import Stranger


class Administered(Protocol):
    """What the admin endpoints show and change: a sandbox, as its own documentation describes."""

    clock: SandboxClock
    faults: Faults
    data_connector: DataConnector
    stranger: Stranger

    @property
    def parts(self) -> Mapping[str, Behaviour]: ...  # noqa: D102

    @property
    def served(self) -> list[Served]: ...  # noqa: D102

    @property
    def requests(self) -> list[Request]: ...  # noqa: D102

    @property
    def exports(self) -> list[Posted]: ...  # noqa: D102

    @property
    def token(self) -> str: ...  # noqa: D102

    def settings(self) -> dict[str, Any]: ...  # noqa: D102

    def secrets(self) -> list[str]: ...  # noqa: D102

    def switch(self, given: Mapping[str, Mapping[str, Any]]) -> None: ...  # noqa: D102


class Admin:
    """Routes below `/sandbox`: what was served, requested and handed out; clock, faults, switches.

    Every one of them needs the sandbox's token, as `Authorization: Bearer TOKEN` or `?token=TOKEN`:
    they show secrets and, with an extract, real data.
    """

    def __init__(self, sandbox: Administered) -> None:
        self._sandbox = sandbox
        self.blueprint = flask.Blueprint("admin", __name__, url_prefix="/sandbox")
        self.blueprint.before_request(self._refusal)
        for rule, view, method in (
            ("/settings", self._settings, "GET"),
            ("/served", self._served, "GET"),
            ("/served/<int:number>", self._served_file, "GET"),
            ("/requests", self._requests, "GET"),
            ("/exports", self._exports, "GET"),
            ("/secrets", self._secrets, "GET"),
            ("/clock", self._clock, "GET"),
            ("/clock", self._set_clock, "POST"),
            ("/behaviour", self._behaviour, "GET"),
            ("/behaviour", self._switch, "POST"),
            ("/extracts", self._add_extract, "POST"),
            ("/stranger", self._stranger, "GET"),
            ("/faults", self._faults, "GET"),
            ("/faults", self._add_faults, "POST"),
            ("/faults", self._clear_faults, "DELETE"),
        ):
            self.blueprint.add_url_rule(rule, f"{method} {rule}", view, methods=[method])

    def _refusal(self) -> flask.Response | None:
        kind, _, given = flask.request.headers.get("Authorization", "").partition(" ")
        token = given if kind == "Bearer" else flask.request.args.get("token", "")
        if hmac.compare_digest(token.encode(), self._sandbox.token.encode()):
            return None
        return _problem(401, "The sandbox's token is needed: as a Bearer token, or as ?token=.")

    def _settings(self) -> flask.Response:
        return flask.jsonify(self._sandbox.settings())

    def _served(self) -> flask.Response:
        return flask.jsonify([served.as_json() for served in self._sandbox.served])

    def _served_file(self, number: int) -> flask.Response:
        served = self._sandbox.served
        path = served[number].path if number < len(served) else None
        if path is None:
            return _problem(404, "There is no such file.")
        return flask.Response(path.read_bytes(), content_type="application/octet-stream")

    def _requests(self) -> flask.Response:
        return flask.jsonify(
            [
                {"method": request.method, "path": request.path, "status": request.status}
                for request in self._sandbox.requests
            ]
        )

    def _exports(self) -> flask.Response:
        return flask.jsonify([posted.as_json() for posted in self._sandbox.exports])

    def _secrets(self) -> flask.Response:
        return flask.jsonify(self._sandbox.secrets())

    def _clock(self) -> flask.Response:
        return flask.jsonify({"now": iso(self._sandbox.clock.now(), "microseconds")})

    def _set_clock(self) -> flask.Response:
        """Set the clock to `{"now": ISO 8601}` or move it by `{"advance_seconds": n}`."""
        body = flask.request.get_json(silent=True) or {}
        try:
            if "now" in body:
                self._sandbox.clock.set(instant(body["now"]))
            else:
                self._sandbox.clock.advance(float(body["advance_seconds"]))
        except (KeyError, TypeError, ValueError):
            return _problem(400, "Give now (ISO 8601) or advance_seconds (a number).")
        return self._clock()

    def _behaviour(self) -> flask.Response:
        return flask.jsonify({name: part.as_json() for name, part in self._sandbox.parts.items()})

    def _switch(self) -> flask.Response:
        """Set switches: `{"insights": {"columns": "title"}, …}`."""
        body = flask.request.get_json(silent=True)
        try:
            self._sandbox.switch(body if isinstance(body, dict) else {})
        except ValueError as error:
            return _problem(400, str(error))
        return self._behaviour()

    def _add_extract(self) -> flask.Response:
        """Add an extract that was made elsewhere: see `DataConnector.add_extract`.

        `{"body": {…}, "account": ID, "created": ISO 8601, "request": {…}, "job": {…}}`.
        """
        given = dict(flask.request.get_json(silent=True) or {})
        try:
            if "created" in given:
                given["created"] = instant(given["created"])
            request_id, job_id = self._sandbox.data_connector.add_extract(**given)
        except (TypeError, ValueError) as error:
            return _problem(400, str(error))
        return flask.jsonify({"requestId": request_id, "jobId": job_id})

    def _stranger(self) -> flask.Response:
        return flask.jsonify([arrival.as_json() for arrival in self._sandbox.stranger.arrivals])

    def _faults(self) -> flask.Response:
        return flask.jsonify([fault.as_json() for fault in self._sandbox.faults.all])

    def _add_faults(self) -> flask.Response:
        """Switch on a fault, or an array of them."""
        body = flask.request.get_json(silent=True)
        try:
            self._sandbox.faults.add_all(body if isinstance(body, list) else [body or {}])
        except (TypeError, ValueError) as error:
            return _problem(400, str(error))
        return self._faults()

    def _clear_faults(self) -> flask.Response:
        self._sandbox.faults.clear()
        return self._faults()


def _problem(status: int, message: str) -> flask.Response:
    response = flask.jsonify({"message": message})
    response.status_code = status
    return response
