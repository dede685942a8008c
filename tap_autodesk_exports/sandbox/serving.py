"""The HTTP server below the sandbox."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from typing_extensions import override
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment


class Handler(WSGIRequestHandler):
    """A request handler that writes no access log and gives up a dropped connection."""

    @override
    def send_response(self, code: int, message: str | None = None) -> None:
        # Without the machine's date: every answer carries that of the sandbox's clock.
        self.send_response_only(code, message)

    @override
    def connection_dropped(
        self, error: BaseException, environ: WSGIEnvironment | None = None
    ) -> None:
        self.close_connection = True

    @override
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


class Server(ThreadedWSGIServer):
    """A server that can reset a connection instead of closing it politely."""

    @override
    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        linger = b""
        if isinstance(request, socket.socket) and request.fileno() >= 0:
            linger = request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
        if any(linger):  # set by a fault: without a shutdown, close sends a reset
            self.close_request(request)
        else:
            super().shutdown_request(request)
