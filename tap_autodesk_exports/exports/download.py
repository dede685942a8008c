"""From a finished export to a whole file on disk.

Links are signed and short-lived (documented: a few minutes, 60 seconds to connect for Data
Connector), so each is fetched right before use, followed without credentials, and renewed when it
has expired or the connection broke. A broken download goes on where it stopped if the storage
answers a Range request (assumed: S3 does; not documented by Autodesk).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import requests

from tap_autodesk_exports.errors import Stopped, TapError
from tap_autodesk_exports.workspace import full_disk_told

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.exports.export import ExportFile, ExportService, FinishedExport

logger = logging.getLogger("tap-autodesk-exports")

TRIES = 6
FIRST_PAUSE = 1.0
TIMEOUT = (15, 120)
"""Seconds to connect, and to wait for the next bytes."""
CHUNK = 1 << 17
"""Bytes that are written at a time; of a broken download, less than that is fetched twice."""


class DownloadError(TapError):
    """A file could not be fetched whole."""


class _Broken(Exception):
    """One try failed; its text says how, without the link."""


class Downloader:
    """Fetches files of finished exports.

    Args:
        clock: Waits between two tries.
        stop: Ends the wait when set.
        secret: Takes each link before it is followed, and returns it: a link is a secret.

    Attributes:
        files: How many files were fetched.
        bytes: How many bytes they have.
    """

    def __init__(
        self, clock: Clock, stop: threading.Event, secret: Callable[[str], str] = str
    ) -> None:
        self._clock = clock
        self._stop = stop
        self._secret = secret
        self._failed: set[str] = set()
        self.files = 0
        self.bytes = 0

    def fetch(
        self, service: ExportService, finished: FinishedExport, file: ExportFile, folder: Path
    ) -> Path:
        """Fetch one file into `folder`, whole.

        Where a file of an export could not be fetched, its other files are tried only once: there
        may be hundreds, and a storage that is gone would cost half a minute with each.

        Raises:
            DownloadError: It could not be fetched, or its size is not the one that was listed.
            TapError: The API gives no link.
        """
        path = folder / _file_name(file.name)
        part = _Part(path.with_name(path.name + ".part"), self._stop)
        broken = _Broken("nothing was tried")
        tries = 1 if finished.export_id in self._failed else TRIES
        for attempt in range(tries):
            if attempt and self._clock.wait(FIRST_PAUSE * 2 ** (attempt - 1), self._stop):
                raise Stopped
            try:
                with full_disk_told():
                    self._try(self._secret(service.signed_link(finished, file)), part)
                part.check_size(file.size)
            except _Broken as error:
                broken = error
                again = "Trying again." if attempt + 1 < tries else "Giving up."
                logger.info("Fetching '%s' broke: %s. %s", path.name, broken, again)
            else:
                self.files += 1
                self.bytes += part.size
                return part.path.rename(path)
        self._failed.add(finished.export_id)
        msg = (
            f"File '{path.name}' of the {finished.pending.spec.title} ({finished.export_id}) could "
            f"not be fetched whole: {broken}. The export stays pending: run again."
        )
        raise DownloadError(msg)

    def _try(self, link: str, part: _Part) -> None:
        headers = {"Accept-Encoding": "identity", **part.go_on()}
        try:
            # No session: nothing of a signed-in one may reach the storage.
            with requests.get(
                link, headers=headers, stream=True, timeout=TIMEOUT, auth=_no_credentials
            ) as answer:
                part.take(answer)
        except requests.RequestException as error:
            raise _Broken(_how(error)) from None


def _no_credentials(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    prepared.headers.pop("Authorization", None)
    return prepared


class _Part:
    """What has arrived of a file so far.

    Args:
        path: Where it is.
        stop: Ends the download between two chunks when set.
    """

    def __init__(self, path: Path, stop: threading.Event) -> None:
        self.path = path
        self._stop = stop
        self._version: str | None = None
        path.unlink(missing_ok=True)

    @property
    def size(self) -> int:
        """Bytes that are here."""
        return self.path.stat().st_size if self.path.exists() else 0

    def go_on(self) -> dict[str, str]:
        """Return headers that ask for the rest, of the same version of the file."""
        if not self.size:
            return {}
        same = {"If-Range": self._version} if self._version else {}
        return {"Range": f"bytes={self.size}-", **same}

    def take(self, answer: requests.Response) -> None:
        """Write the body of an answer.

        Raises:
            _Broken: It is not what was asked for.
            Stopped: The run is being ended.
        """
        status = answer.status_code
        if status == requests.codes.requested_range_not_satisfiable:
            self.path.unlink()
            msg = "the storage could not go on where it stopped"
            raise _Broken(msg)
        if not answer.ok:
            expired = status in {403, 410}
            raise _Broken("the link had expired" if expired else f"the storage answered {status}")
        goes_on = status == requests.codes.partial_content
        if goes_on and _begins_at(answer) != self.size:
            self.path.unlink(missing_ok=True)
            msg = "the storage sent another part of the file than asked for"
            raise _Broken(msg)
        self._version = answer.headers.get("ETag")
        with self.path.open("ab" if goes_on else "wb") as file:
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)
                if self._stop.is_set():
                    raise Stopped

    def check_size(self, listed: int | None) -> None:
        """Compare with the size that the API lists, where it does.

        Raises:
            _Broken: They differ; what is here is removed.
        """
        size = self.size
        if listed is not None and size != listed:
            self.path.unlink()
            msg = f"{size} bytes came, the listing says {listed}"
            raise _Broken(msg)


def _begins_at(answer: requests.Response) -> int | None:
    """Return the first byte's position, from `Content-Range: bytes 5-9/10`."""
    unit, _, span = answer.headers.get("Content-Range", "").partition(" ")
    first = span.partition("-")[0]
    return int(first) if unit == "bytes" and first.isdigit() else None


def _file_name(name: str) -> str:
    """Return the last part of a name, so that no name leads out of the folder."""
    return name.replace("\\", "/").rsplit("/", 1)[-1].lstrip(".") or "file"


def _how(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "the storage fell silent"
    return f"the connection failed ({type(error).__name__})"
