"""From a finished export to a whole file on disk.

Links are signed and short-lived (documented: a few minutes, 60 seconds to connect for Data
Connector), so each is fetched right before use, followed without credentials, and renewed when it
has expired or the connection broke. A broken download goes on where it stopped if the storage
answers a Range request (assumed: S3 does; not documented by Autodesk).
"""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING

import requests

from tap_autodesk_exports.errors import Stopped, TapError

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.exports.export import ExportFile, ExportService, Finished

logger = logging.getLogger("tap-autodesk-exports")

TRIES = 6
FIRST_PAUSE = 1.0
TIMEOUT = (15, 120)
"""Seconds to connect, and to wait for the next bytes."""
CHUNK = 1 << 20


class DownloadError(TapError):
    """A file could not be fetched whole."""


class _Broken(Exception):
    """One try failed; its text says how, without the link."""


class Downloader:
    """Fetches files of finished exports.

    Args:
        clock: Waits between two tries.
        stop: Ends the wait when set.
    """

    def __init__(self, clock: Clock, stop: threading.Event) -> None:
        self._clock = clock
        self._stop = stop

    def fetch(
        self, service: ExportService, finished: Finished, file: ExportFile, folder: Path
    ) -> Path:
        """Fetch one file into `folder`, whole.

        Raises:
            DownloadError: It could not be fetched, or its size is not the one that was listed.
            TapError: The API gives no link.
        """
        path = folder / _file_name(file.name)
        part = path.with_name(path.name + ".part")
        part.unlink(missing_ok=True)
        broken = _Broken("nothing was tried")
        for attempt in range(TRIES):
            if attempt and self._clock.wait(FIRST_PAUSE * 2 ** (attempt - 1), self._stop):
                raise Stopped
            try:
                self._try(service.link(finished, file), part)
                _check_size(part, file)
            except _Broken as error:
                broken = error
                logger.info("Fetching '%s' broke: %s. Trying again.", path.name, broken)
            except OSError as error:
                part.unlink(missing_ok=True)
                raise DownloadError(_disk(path.name, folder, error)) from None
            else:
                return part.rename(path)
        part.unlink(missing_ok=True)
        msg = (
            f"File '{path.name}' of the {finished.asked.spec.title} ({finished.export_id}) could "
            f"not be fetched in {TRIES} tries: {broken}. The export stays pending: run again."
        )
        raise DownloadError(msg)

    def _try(self, link: str, part: Path) -> None:
        have = part.stat().st_size if part.exists() else 0
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        try:
            # No session: nothing of a signed-in one may reach the storage.
            with requests.get(
                link, headers=headers, stream=True, timeout=TIMEOUT, auth=_no_credentials
            ) as answer:
                _write(answer, part, have)
        except requests.RequestException as error:
            raise _Broken(_how(error)) from None


def _no_credentials(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    prepared.headers.pop("Authorization", None)
    return prepared


def _write(answer: requests.Response, part: Path, have: int) -> None:
    status = answer.status_code
    if status == requests.codes.requested_range_not_satisfiable:
        part.unlink()
        msg = "the storage could not go on where it stopped"
        raise _Broken(msg)
    if not answer.ok:
        words = "the link had expired" if status in {403, 410} else f"the storage answered {status}"
        raise _Broken(words)
    goes_on = status == requests.codes.partial_content and _begins_at(answer) == have
    if status == requests.codes.partial_content and not goes_on:
        part.unlink(missing_ok=True)
        msg = "the storage sent another part of the file than asked for"
        raise _Broken(msg)
    with part.open("ab" if goes_on else "wb") as file:
        for chunk in answer.iter_content(CHUNK):
            file.write(chunk)


def _begins_at(answer: requests.Response) -> int | None:
    """Return the first byte's position, from `Content-Range: bytes 5-9/10`."""
    unit, _, span = answer.headers.get("Content-Range", "").partition(" ")
    first = span.partition("-")[0]
    return int(first) if unit == "bytes" and first.isdigit() else None


def _check_size(part: Path, file: ExportFile) -> None:
    size = part.stat().st_size
    if file.size is not None and size != file.size:
        part.unlink()
        msg = f"{size} bytes came, the listing says {file.size}"
        raise _Broken(msg)


def _file_name(name: str) -> str:
    """Return the last part of a name, so that no name leads out of the folder."""
    return name.replace("\\", "/").rsplit("/", 1)[-1].lstrip(".") or "file"


def _how(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "the storage fell silent"
    return f"the connection failed ({type(error).__name__})"


def _disk(name: str, folder: Path, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return (
            f"No space is left in {folder} for file '{name}': free some, or name a roomier folder "
            "in the environment variable TMPDIR."
        )
    return f"File '{name}' cannot be written to {folder}: {error.strerror}."
