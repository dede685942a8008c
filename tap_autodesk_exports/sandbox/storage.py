"""Files behind pre-signed links, as S3 serves them.

Documented: a link needs no token and expires. Generic S3 behaviour: an Authorization header
next to the signature is a 400, an expired or changed link a 403, both with an XML body; ranges
work.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import hmac
import re
import secrets
import threading
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import flask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tap_autodesk_exports.sandbox.clock import SandboxClock
    from tap_autodesk_exports.sandbox.record import Record, Served

CHUNK_BYTES = 64 * 1024
BENT = "sandbox.bent"
"""Environment key that a fault sets when it changes the answer: the file does not count as served,
unless the fault calls what the storage puts here."""
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclasses.dataclass(frozen=True)
class StoredFile:
    """A file that can be downloaded; `tables` is what counts as served once it is complete."""

    api: str
    export_id: str
    path: Path
    tables: tuple[Served, ...]
    content_type: str = "text/csv"

    @property
    def key(self) -> str:
        """The file's key in the storage."""
        return f"{hashlib.sha256(self.export_id.encode()).hexdigest()[:24]}/{self.path.name}"


class Storage:
    """All files, and the links to them."""

    def __init__(self, clock: SandboxClock, record: Record) -> None:
        self._clock = clock
        self._record = record
        self._lock = threading.Lock()
        self._signing_key = secrets.token_bytes(32)
        self._files: dict[tuple[str, str], StoredFile] = {}
        self._sent: dict[tuple[str, str], list[tuple[int, int]]] = {}
        self.blueprint = flask.Blueprint("storage", __name__, url_prefix="/storage")
        self.blueprint.add_url_rule("/<api>/<path:key>", "file", self._serve, methods=["GET"])

    def link(self, file: StoredFile, seconds: float) -> str:
        """Return a new link to a file, good for `seconds` of the sandbox's clock."""
        with self._lock:
            self._files[file.api, file.key] = file
        expires = f"{self._clock.now().timestamp() + seconds:.3f}"
        query = urlencode(
            {
                "AWSAccessKeyId": "ASIA" + secrets.token_hex(8).upper(),
                "Expires": expires,
                "Signature": self._signature(file.api, file.key, expires),
                "x-amz-security-token": secrets.token_urlsafe(48),
            }
        )
        self._record.add_secret(query)
        return f"{flask.request.host_url}storage/{file.api}/{quote(file.key)}?{query}"

    def _signature(self, api: str, key: str, expires: str) -> str:
        text = f"{api}\n{key}\n{expires}".encode()
        return hmac.new(self._signing_key, text, hashlib.sha256).hexdigest()

    def _serve(self, api: str, key: str) -> flask.Response:
        if "Authorization" in flask.request.headers:
            return _error(400, "InvalidArgument", "Only one auth mechanism allowed")
        expires = flask.request.args.get("Expires", "0")
        signature = flask.request.args.get("Signature", "")
        if not hmac.compare_digest(signature, self._signature(api, key, expires)):
            return _error(403, "SignatureDoesNotMatch", "The request signature does not match.")
        if self._clock.now().timestamp() > float(expires):
            return _error(403, "AccessDenied", "Request has expired")
        with self._lock:
            file = self._files.get((api, key))
        if file is None or not file.path.exists():
            return _error(404, "NoSuchKey", "The specified key does not exist.")
        return self._send(file)

    def _send(self, file: StoredFile) -> flask.Response:
        size = file.path.stat().st_size
        first, last = 0, size - 1
        partial = _RANGE.fullmatch(flask.request.headers.get("Range", ""))
        if partial and any(partial.groups()):
            begin, end = partial.groups()
            first = int(begin) if begin else max(0, size - int(end))
            last = min(int(end), size - 1) if begin and end else size - 1
            if first >= size or first > last:
                response = _error(416, "InvalidRange", "The requested range is not satisfiable")
                response.headers["Content-Range"] = f"bytes */{size}"
                return response
        else:
            partial = None
        sent: Callable[[], Callable[[], None]] | None
        sent = functools.partial(self._sent_to, file, first, last + 1, size)
        if BENT in flask.request.environ:
            flask.request.environ[BENT] = sent
            sent = None
        response = flask.Response(
            _chunks(file.path, first, last, sent),
            status=206 if partial else 200,
            content_type=file.content_type,
        )
        response.headers["Content-Length"] = str(last - first + 1)
        response.headers["Accept-Ranges"] = "bytes"
        response.headers["ETag"] = f'"{size:x}-{file.path.stat().st_mtime_ns:x}"'
        if partial:
            response.headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        return response

    def _sent_to(self, file: StoredFile, first: int, end: int, size: int) -> Callable[[], None]:
        """Count a file as served once the ranges sent cover it; return what undoes that."""
        key = (file.api, file.key)
        with self._lock:
            before = self._sent.get(key, [])
            parts = sorted([*before, (first, end)])
            covered = 0
            for begin, stop in parts:
                if begin <= covered:
                    covered = max(covered, stop)
            complete = covered >= size
            self._sent[key] = [] if complete else parts
        for table in file.tables if complete else ():
            self._record.add(table)

        def undo() -> None:
            with self._lock:
                self._sent[key] = before
            for table in file.tables if complete else ():
                self._record.remove(table)

        return undo


def _chunks(
    path: Path, first: int, last: int, sent: Callable[[], Callable[[], None]] | None
) -> Iterator[bytes]:
    """Yield the bytes from `first` to `last`; `sent` is called with the last of them.

    It is called before they are sent, since a reader may look at the record as soon as it has
    them, and undone if they could not be written.
    """
    position = first
    with path.open("rb") as source:
        source.seek(first)
        while position <= last:
            chunk = source.read(min(CHUNK_BYTES, last - position + 1))
            position += len(chunk)
            undo = sent() if sent is not None and position > last else None
            try:
                yield chunk
            except GeneratorExit:
                if undo is not None:
                    undo()
                raise


def _error(status: int, code: str, message: str) -> flask.Response:
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    )
    return flask.Response(xml, status=status, content_type="application/xml")
