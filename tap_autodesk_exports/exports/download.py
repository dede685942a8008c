"""From a finished export to a whole file on disk.

Links are signed and short-lived (documented: a few minutes, 60 seconds to connect for Data
Connector), so each is fetched right before use, followed without credentials, and renewed when it
has expired or the connection broke. A broken download goes on where it stopped if the storage
answers a Range request (assumed: S3 does; not documented by Autodesk).
"""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import requests

from tap_autodesk_exports.clock import pause
from tap_autodesk_exports.errors import Stopped, TapError
from tap_autodesk_exports.exports.links import ForbiddenLink, Links
from tap_autodesk_exports.exports.part import Broken, Part
from tap_autodesk_exports.transport.exchange import CONNECT, SILENCE, exchange
from tap_autodesk_exports.transport.failures import explain
from tap_autodesk_exports.workspace import full_disk_told

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.exports.export import ExportFile, ExportService, FinishedExport
    from tap_autodesk_exports.transport.exchange import Exchange

logger = logging.getLogger("tap-autodesk-exports")

TRIES = 6
FIRST_PAUSE = 1.0
TIMEOUT = (CONNECT, SILENCE)
"""Seconds to connect, and to wait for the next bytes."""
SLOWEST = 1000.0
"""Bytes a second: what comes more slowly for as long as a request may take is given up."""
CHUNK = 1 << 17
"""Bytes after which a download notices that the run is being ended."""
PROGRESS = 1 << 20
"""Bytes that a try must bring so that it counts."""
GIVEN_UP = 120.0
"""Seconds in which a storage that could not be reached is not tried again."""
MOST_REDIRECTS = 5
LONGEST_NAME = 120
_UNCERTAIN = "nothing shows that it is whole, and it has not come the same twice"
DAY = 24 * 3600.0


class DownloadError(TapError):
    """A file could not be fetched whole.

    Attributes:
        is_answer: Whether the storage answered and the file is what is wrong, not the network.
    """

    def __init__(self, message: str, *, is_answer: bool) -> None:
        super().__init__(message)
        self.is_answer = is_answer


class Downloader:
    """Fetches files of finished exports.

    Args:
        clock: Waits between two tries.
        stop: Ends the wait when set.
        secret: Takes each link before it is followed, and returns it: a link is a secret.
        api_url: Where the API is, which says where links may lead.
        seconds: How long one file may take, all tries included.
        request_seconds: How long a storage may take to begin its answer, and how long it may be
            slower than `SLOWEST`.

    Attributes:
        files: How many files were fetched.
        bytes: How many bytes they have.
    """

    def __init__(  # noqa: PLR0913
        self,
        clock: Clock,
        stop: threading.Event,
        secret: Callable[[str], str] = str,
        *,
        api_url: str,
        seconds: float = DAY,
        request_seconds: float = 300.0,
    ) -> None:
        self._clock = clock
        self._stop = stop
        self._secret = secret
        self._links = Links(api_url)
        self._seconds = seconds
        self._request_seconds = request_seconds
        self._failed: set[str] = set()
        self._silent: dict[str, tuple[float, Broken]] = {}
        self.files = 0
        self.bytes = 0

    def fetch(
        self, service: ExportService, finished: FinishedExport, file: ExportFile, folder: Path
    ) -> Path:
        """Fetch one file into `folder`, whole.

        Where a file of an export could not be fetched, its other files are tried only once: there
        may be hundreds, and a storage that is gone would cost half a minute with each. One that
        fell silent is not tried for a while by the API's other exports either.

        Raises:
            DownloadError: It could not be fetched, or it is not whole.
            TapError: The API gives no link.
        """
        api = finished.pending.spec.api
        path = folder / _file_name(file.name)
        part = Part(path.with_name(path.name + ".part"), file.size)
        patience = _Patience(
            1 if finished.export_id in self._failed else TRIES,
            self._seconds,
            self._request_seconds,
        )
        self._check(api, path.name, finished)
        try:
            while True:
                try:
                    with full_disk_told():
                        link = self._secret(service.signed_link(finished, file))
                        self._try(link, part, patience.end)
                        if part.finish():
                            self.files += 1
                            self.bytes += part.size
                            return part.path.replace(path)
                    broken = Broken(_UNCERTAIN)
                    patience.tries = max(patience.tries, 2)
                except Broken as error:
                    broken = error
                if patience.is_over(broken, part.size):
                    break
                logger.info("Fetching '%s' broke: %s. Trying again.", path.name, broken)
                pause(self._clock, patience.pause, self._stop)
        finally:
            part.begin_again()  # nothing is left of what did not become whole
        self._failed.add(finished.export_id)
        if patience.was_in_vain(broken):
            self._silent[api] = (self._clock.monotonic(), broken)
        raise _failure(path.name, finished, broken)

    def _check(self, api: str, file: str, finished: FinishedExport) -> None:
        """Fail at once where the API's storage could not be reached just now."""
        since, broken = self._silent.get(api, (float("-inf"), Broken("")))
        if self._clock.monotonic() - since < GIVEN_UP:
            raise _failure(file, finished, broken)

    def _try(self, link: str, part: Part, end: float) -> None:
        """Follow a link, and its redirects: none of them gets more than the range that is wanted.

        Raises:
            Broken: The rest of the file did not come.
        """
        headers = {"Accept-Encoding": "identity", **part.headers()}
        connect, silence = TIMEOUT
        limit = self._request_seconds
        for _ in range(MOST_REDIRECTS):
            try:
                request = self._links.prepare(link, headers)
                with exchange(
                    request,
                    seconds=min(limit, max(end - time.monotonic(), 1.0)),
                    connect=min(connect, limit),
                    silence=min(silence, limit),
                    connected=self._links.connected,
                ) as sent:
                    if not sent.answer.is_redirect:
                        sent.extend(max(end - time.monotonic(), 1.0))
                        part.take(sent.answer, self._pieces(sent))
                        return
                    location = sent.answer.headers["Location"]
            except ForbiddenLink as error:
                msg = f"its link {error}, and is not followed"
                raise Broken(msg, is_lasting=True) from None
            except requests.RequestException as error:
                raise _unanswered(error, request) from None
            link = self._secret(_joined(str(request.url), location))
        msg = "the storage redirects without end"
        raise Broken(msg)

    def _pieces(self, sent: Exchange) -> Iterable[bytes]:
        """Yield a body as it arrives, as long as it arrives fast enough.

        Raises:
            Broken: It does not.
            Stopped: The run is being ended.
        """
        since, arrived, unchecked = time.monotonic(), 0, 0
        for piece in sent.pieces():
            yield piece
            arrived += len(piece)
            unchecked += len(piece)
            if unchecked >= CHUNK:
                unchecked = 0
                self._check_stop()
            seconds = time.monotonic() - since
            if seconds >= self._request_seconds:
                if arrived < SLOWEST * seconds:
                    msg = f"the storage sends only {arrived / seconds:.0f} bytes a second"
                    raise Broken(msg, is_answer=False)
                since, arrived = time.monotonic(), 0
        self._check_stop()

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Stopped


class _Patience:
    """How often, and for how long, one file is tried.

    A try that brought something on counts as the first one again: what is large may break often.

    Args:
        tries: How often.
        seconds: How long, in all.
        silence: How long a storage is tried that does not answer, but twice at least.
    """

    def __init__(self, tries: int, seconds: float, silence: float) -> None:
        self.tries = tries
        self.end = time.monotonic() + seconds
        self._silence = silence
        self._tried = 0
        self._since = time.monotonic()
        self._arrived = 0

    def is_over(self, broken: Broken, arrived: int) -> bool:
        """Take note of a try that failed, and tell whether it was the last one."""
        now = time.monotonic()
        if arrived - self._arrived >= PROGRESS:
            self._tried, self._since = 0, now
        self._arrived = arrived
        self._tried += 1
        is_silent = not broken.is_answer and self._tried > 1 and now - self._since > self._silence
        return broken.is_lasting or self._tried >= self.tries or is_silent or now > self.end

    def was_in_vain(self, broken: Broken) -> bool:
        """Tell whether it is of no use to try other files of the same storage now."""
        return not broken.is_answer and (broken.is_lasting or self._tried > 1)

    @property
    def pause(self) -> float:
        """Seconds until the next try."""
        return FIRST_PAUSE * 2.0 ** (self._tried - 1)


def _failure(file: str, finished: FinishedExport, broken: Broken) -> DownloadError:
    what = (
        f"File '{file}' of the {finished.pending.spec.title} ({finished.export_id}) could not be "
        f"fetched whole: {broken}."
    )
    sentences = (what, broken.advice, "The export stays pending: run again.")
    return DownloadError(" ".join(filter(None, sentences)), is_answer=broken.is_answer)


def _unanswered(error: requests.RequestException, request: requests.PreparedRequest) -> Broken:
    host = urlsplit(str(request.url)).netloc.rpartition("@")[2]
    why = explain(error, f"the storage at {host}")
    advice = why.advice if why.is_lasting else ""
    return Broken(why.what, is_answer=False, is_lasting=why.is_lasting, advice=advice)


def _joined(link: str, location: str) -> str:
    try:
        return urljoin(link, location)
    except ValueError:
        return ""  # no address, which is reported where it would be followed


def _file_name(name: str) -> str:
    """Return the last part of a name, in letters that every system takes.

    So no name leads out of the folder, is too long for it, or cannot be written.
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1].lstrip(".")
    plain = re.sub(r"[^\w.() -]", "_", last)
    return plain[-LONGEST_NAME:] or "file"
