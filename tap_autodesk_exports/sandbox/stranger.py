"""Another server, not one of Autodesk's: redirects lead to it, and it records what arrives."""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, Any

import flask

from tap_autodesk_exports.sandbox.serving import Handler, Server

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment


@dataclasses.dataclass(frozen=True)
class Arrival:
    """A request that reached the stranger, with everything that it carried."""

    method: str
    path: str
    headers: dict[str, str]
    body: str

    def as_json(self) -> dict[str, Any]:
        """Return it for the admin endpoint."""
        return dataclasses.asdict(self)


class Stranger:
    """Listens on its own port of this machine from the first time that its `url` is needed.

    Attributes:
        answer: Status, body and content type of all its answers.
    """

    def __init__(self) -> None:
        self.answer = (200, "[]", "application/json")
        self._arrivals: list[Arrival] = []
        self._lock = threading.Lock()
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Its base URL; it starts to listen with this."""
        with self._lock:
            if self._server is None:
                self._server = Server("127.0.0.1", 0, self._serve, Handler)
                self._thread = threading.Thread(
                    target=self._server.serve_forever,
                    kwargs={"poll_interval": 0.05},
                    name="stranger",
                    daemon=True,
                )
                self._thread.start()
            return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def arrivals(self) -> list[Arrival]:
        """Every request that reached it, in order."""
        with self._lock:
            return list(self._arrivals)

    def _serve(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        request = flask.Request(environ)
        arrival = Arrival(
            request.method,
            request.full_path.removesuffix("?"),
            dict(request.headers),
            request.get_data(as_text=True),
        )
        with self._lock:
            self._arrivals.append(arrival)
        status, body, kind = self.answer
        return flask.Response(body, status, content_type=kind)(environ, start)

    def stop(self) -> None:
        """Stop listening."""
        with self._lock:
            server, thread, self._server, self._thread = self._server, self._thread, None, None
        if server is not None and thread is not None:
            server.shutdown()
            thread.join()
            server.server_close()
