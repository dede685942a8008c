"""`autodesk-exports login` in a trial: the program, and the browser in front of it."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from support.attack import COMPANION

if TYPE_CHECKING:
    from support.attack import Lab

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Login:
    """A sign-in that waits for its browser.

    Attributes:
        attempt: The program.
        callback: The address that the browser is sent back to.
        store: Where it keeps the token.
    """

    def __init__(self, lab: Lab) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.callback = f"http://localhost:{port}/callback"
        self.store = lab.folder / "login.json"
        self._lab = lab
        config = lab.config(
            "insights",
            **{**lab.with_refresh_token, "refresh_token": None},
            token_store=str(self.store),
        )
        arguments = ["login", "--no-browser", "--callback", self.callback]
        self.attempt = lab.begin(config, *arguments, program=COMPANION)
        self.attempt.wait_until(lambda: self._page() is not None)

    def _page(self) -> str | None:
        said = self.attempt.out.read_text("utf-8", "replace") + self.attempt.log()
        found = re.search(r"http://[^\s]*/authorize\?[^\s]+", said)
        return found[0] if found else None

    def visit(self, url: str) -> int:
        """Ask for a page as a browser would; return the status, 0 where there is no answer."""
        parts = urlsplit(url)
        client = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=10)
        with contextlib.closing(client), contextlib.suppress(OSError, http.client.HTTPException):
            client.request("GET", f"{parts.path}?{parts.query}", headers={"Host": parts.netloc})
            return client.getresponse().status
        return 0

    def knock(self, data: bytes) -> socket.socket:
        """Connect to the callback's port, send something, and keep the connection."""
        connection = socket.create_connection(
            ("127.0.0.1", urlsplit(self.callback).port), timeout=10
        )
        connection.sendall(data)
        return connection

    def allow(self) -> int:
        """Click on Allow, and follow to the callback; return its status."""
        page = self._page()
        assert page
        parts = urlsplit(page)
        client = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=10)
        with contextlib.closing(client):
            client.request("POST", f"{parts.path}?{parts.query}", "answer=allow", FORM)
            answer = client.getresponse()
            answer.read()
            return self.visit(answer.headers["Location"])
