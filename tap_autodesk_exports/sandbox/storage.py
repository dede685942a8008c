"""Files behind pre-signed links, as S3 serves them.

Documented: a link needs no token and expires. Generic S3 behaviour: an Authorization header
next to the signature is a 400, an expired or changed link a 403, both with an XML body; ranges
work.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import hmac
import re
import secrets
import threading
import zlib
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import flask
from werkzeug.http import http_date

from tap_autodesk_exports.sandbox.behaviour import Behaviour, one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tap_autodesk_exports.sandbox.clock import SandboxClock
    from tap_autodesk_exports.sandbox.record import Record, Served

CHUNK_BYTES = 64 * 1024
BENT = "sandbox.bent"
"""Environment key that a fault sets when it changes the answer: the file does not count as served,
unless the fault calls what the storage puts here."""
_CODES = {400: "InvalidRequest", 403: "AccessDenied", 404: "NoSuchKey", 410: "Gone"}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclasses.dataclass(frozen=True)
class StoredFile:
    """A file that can be downloaded.

    Attributes:
        api: The API that made it.
        export_id: The export that it belongs to.
        path: Its bytes.
        tables: What counts as served once it has been sent completely.
        content_type: Its content type.
        status: What all its links answer in place of it; 0: the file.
    """

    api: str
    export_id: str
    path: Path
    tables: tuple[Served, ...]
    content_type: str = "text/csv"
    status: int = 0

    @property
    def key(self) -> str:
        """The file's key in the storage."""
        return f"{hashlib.sha256(self.export_id.encode()).hexdigest()[:24]}/{self.path.name}"


@dataclasses.dataclass(eq=False)
class StorageBehaviour(Behaviour):
    """The switches of the storage.

    Attributes:
        etag: What the ETag is: `opaque` (with a `-`, as S3 gives to what was uploaded in parts), or
            the `md5` of the file (as S3 gives to what was uploaded at once).
        checksums: Further headers that go with every file: `Content-MD5`,
            `x-amz-checksum-crc32`, `x-amz-checksum-sha1`, `x-amz-checksum-sha256` (of the whole
            file, as S3 writes them), `composite` (an `x-amz-checksum-sha256` of a file that was
            uploaded in three parts, which is not that of the whole).
    """

    etag: str = one_of("opaque", "md5")
    checksums: list[str] = dataclasses.field(default_factory=list)

    def headers(self, path: Path) -> dict[str, str]:
        """Return `ETag`, `Last-Modified` and checksums of a file."""
        changed = path.stat()
        etag = f"{changed.st_size:x}-{changed.st_mtime_ns:x}"
        headers = {"Last-Modified": http_date(changed.st_mtime)}
        if self.etag == "md5" or self.checksums:
            data = path.read_bytes()
            if self.etag == "md5":
                etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
            headers |= dict(_checksum(name, data) for name in self.checksums)
        return {"ETag": f'"{etag}"', **headers}


def _checksum(name: str, data: bytes) -> tuple[str, str]:
    """Return a checksum's header and its value.

    Raises:
        ValueError: There is no such checksum here.
    """
    sha256 = "x-amz-checksum-sha256"
    makers: dict[str, Callable[[], bytes]] = {
        "Content-MD5": lambda: hashlib.md5(data, usedforsecurity=False).digest(),
        "x-amz-checksum-crc32": lambda: zlib.crc32(data).to_bytes(4, "big"),
        "x-amz-checksum-sha1": lambda: hashlib.sha1(data, usedforsecurity=False).digest(),
        sha256: lambda: hashlib.sha256(data).digest(),
        "composite": lambda: hashlib.sha256(hashlib.sha256(data).digest()).digest(),
    }
    if name not in makers:
        msg = f"There is no checksum {name!r}, only {', '.join(makers)}."
        raise ValueError(msg)
    text = base64.b64encode(makers[name]()).decode()
    return (sha256, f"{text}-3") if name == "composite" else (name, text)


class Storage(StorageBehaviour):
    """All files, and the links to them."""

    def __init__(self, clock: SandboxClock, record: Record) -> None:
        super().__init__()
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
        right = self._signature(api, key, expires)
        if not hmac.compare_digest(signature.encode(errors="replace"), right.encode()):
            return _error(403, "SignatureDoesNotMatch", "The request signature does not match.")
        if self._clock.now().timestamp() > float(expires):
            return _error(403, "AccessDenied", "Request has expired")
        with self._lock:
            file = self._files.get((api, key))
        if file is None or not file.path.exists():
            return _error(404, "NoSuchKey", "The specified key does not exist.")
        if file.status:
            return _error(file.status, _CODES.get(file.status, "InternalError"), "No access.")
        return self._send(file)

    def _send(self, file: StoredFile) -> flask.Response:
        size = file.path.stat().st_size
        first, last = 0, size - 1
        headers = self.headers(file.path)
        asked = flask.request.headers
        if asked.get("If-Match", headers["ETag"]) not in {headers["ETag"], "*"}:
            return _error(412, "PreconditionFailed", "The file is another one by now.")
        whole = asked.get("If-Range", "") not in {"", headers["ETag"], headers["Last-Modified"]}
        partial = None if whole else _RANGE.fullmatch(asked.get("Range", ""))
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
        response.headers.update(headers)
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
