"""What the sandbox records for tests: files served, exports requested, HTTP requests."""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.sandbox.clock import iso

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Served:
    """A file or a list that was sent to its last byte.

    Attributes:
        api: `insights`, `tokenflex` or `data_connector`.
        kind: Report name, stem of a table, or name of the endpoint of a list.
        export_id: The export that the file belongs to; None for a list.
        name: File name, or the endpoint's name again.
        rows: Data rows; 0 for a file that is no table. Of a list, all rows when its first page was
            sent.
        path: The bytes on disk; of a table inside a ZIP, the table's own bytes. None for a list.
    """

    api: str
    kind: str
    export_id: str | None
    name: str
    rows: int
    path: Path | None

    def as_json(self) -> dict[str, Any]:
        """Return it for the admin endpoint."""
        return {**dataclasses.asdict(self), "path": str(self.path) if self.path else None}


@dataclasses.dataclass(frozen=True)
class Posted:
    """An export that was requested; `owner` is the team, contract or account."""

    api: str
    id: str
    owner: str | None
    body: dict[str, Any]
    created_at: dt.datetime

    def as_json(self) -> dict[str, Any]:
        """Return it for the admin endpoint."""
        return {**dataclasses.asdict(self), "created_at": iso(self.created_at)}


@dataclasses.dataclass(frozen=True)
class Request:
    """An HTTP request; `path` without the query of a signed URL."""

    method: str
    path: str
    status: int


class Record:
    """Thread-safe lists of what happened, in order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._served: list[Served] = []
        self._exports: list[Posted] = []
        self._requests: list[Request] = []
        self._secrets: set[str] = set()

    @property
    def served(self) -> list[Served]:
        """A copy of what was served."""
        with self._lock:
            return list(self._served)

    @property
    def exports(self) -> list[Posted]:
        """A copy of the exports that were requested."""
        with self._lock:
            return list(self._exports)

    @property
    def requests(self) -> list[Request]:
        """A copy of the requests."""
        with self._lock:
            return list(self._requests)

    @property
    def secrets(self) -> list[str]:
        """The query strings of signed URLs."""
        with self._lock:
            return sorted(self._secrets)

    def add(self, entry: Served | Posted | Request) -> None:
        """Record an entry."""
        with self._lock:
            match entry:
                case Served():
                    self._served.append(entry)
                case Posted():
                    self._exports.append(entry)
                case Request():
                    self._requests.append(entry)

    def remove(self, entry: Served) -> None:
        """Remove the newest equal entry: it was not sent completely after all."""
        with self._lock:
            newest = len(self._served) - 1 - self._served[::-1].index(entry)
            del self._served[newest]

    def add_list(self, api: str, endpoint: str, rows: int) -> None:
        """Record a list that was answered directly; of a paged one, all its rows at once."""
        self.add(Served(api, endpoint, None, endpoint, rows, None))

    def add_secret(self, secret: str) -> None:
        """Record a secret that was handed out."""
        with self._lock:
            self._secrets.add(secret)
