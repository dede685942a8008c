"""The end of a sign-in in the browser: the address that it is sent to, heard or pasted."""

from __future__ import annotations

import contextlib
import hmac
import http.server
import queue
import sys
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import click
from typing_extensions import override

from tap_autodesk_exports.signin.errors import SignInError

if TYPE_CHECKING:
    from collections.abc import Iterator

MOMENT = 0.5
"""Seconds of one wait for the browser."""
WAIT_SECONDS = 600
"""Longer than anyone takes to sign in; the code itself is good for 5 minutes (documented)."""
_PAGE = "<!doctype html><meta charset=utf-8><title>{title}</title><h1>{title}</h1><p>{text}</p>"


class Callback:
    """Waits for the redirect of one sign-in.

    Args:
        address: The redirect address of the app. On loopback it is listened to.
        state: What the redirect must bring back.
    """

    def __init__(self, address: str, state: str) -> None:
        self._address = address
        self._state = state
        self._answers: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()

    @contextlib.contextmanager
    def listening(self) -> Iterator[bool]:
        """Listen on loopback; yield whether that was possible."""
        parts = urlsplit(self._address)
        if parts.scheme != "http" or parts.hostname not in {"localhost", "127.0.0.1"}:
            yield False
            return
        try:
            server = http.server.ThreadingHTTPServer(
                ("127.0.0.1", parts.port or 80), self._handler(parts.path or "/")
            )
        except OSError:
            yield False
            return
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield True
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def read_pasted(self) -> None:
        """Take addresses from standard input as well, until it ends."""
        threading.Thread(target=self._read_lines, daemon=True).start()

    def code(self) -> str:
        """Wait for the redirect and return its code.

        Raises:
            SignInError: The user or Autodesk said no, or nothing came.
        """
        answer = self._answer()
        if answer is None:
            msg = f"Sign-in failed: the browser did not come back within {WAIT_SECONDS // 60} min."
            raise SignInError(msg)
        if "code" in answer:
            return answer["code"]
        error = answer["error"]
        said = answer.get("error_description", "")
        advice = {
            "access_denied": "Access was denied in the browser: sign in again and allow it.",
            "unauthorized_client": (
                "This app may not be used three-legged: a client that Autodesk tied to an admin "
                "for Token Flex signs in with 'auth_flow' client_credentials only."
            ),
            "invalid_scope": "Add the APIs to the app in Autodesk's developer portal.",
        }.get(error, "Check 'client_id' and the app's callback URL in the developer portal.")
        msg = f"Sign-in failed: Autodesk answered {error}{f' ({said})' if said else ''}. {advice}"
        raise SignInError(msg)

    def _answer(self) -> dict[str, str] | None:
        """Wait for the answer, a moment at a time: a signal just before a wait does not end it."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(queue.Empty):
                return self._answers.get(timeout=min(MOMENT, WAIT_SECONDS))
        return None

    def _answer_in(self, query: str) -> dict[str, str] | None:
        """Return the answer of this sign-in, or None where it is not meant for it."""
        answer = {name: values[0] for name, values in parse_qs(query).items()}
        given = answer.get("state", "").encode()
        if not hmac.compare_digest(given, self._state.encode()):
            return None
        return answer if "code" in answer or "error" in answer else None

    def _read_lines(self) -> None:
        for line in sys.stdin:
            answer = self._answer_in(urlsplit(line.strip()).query)
            if answer is not None:
                self._answers.put(answer)
            elif line.strip():
                click.echo(
                    "That is not the address that this sign-in ends on: paste all of it, from "
                    f"{self._address}?… to the end.",
                    err=True,
                )

    def _handler(self, path: str) -> type[http.server.BaseHTTPRequestHandler]:
        callback = self

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = 30

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                answer = callback._answer_in(parts.query)
                if parts.path != path:
                    self._page(404, "Not found", "")
                elif answer is None:
                    text = "This is not the sign-in that was started last. Start it again."
                    self._page(400, "Not accepted", text)
                else:
                    text = "Close this window. The terminal says how the sign-in went."
                    self._page(200, "Done", text)
                    callback._answers.put(answer)

            def _page(self, status: int, title: str, text: str) -> None:
                body = _PAGE.format(title=title, text=text).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Referrer-Policy", "no-referrer")
                self.end_headers()
                self.wfile.write(body)

            @override
            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: the request line holds the code."""

        return Handler
