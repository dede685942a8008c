"""Standard output, shared by the stream that emits and by the exports that note their IDs."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from singer_sdk.io_base import SingerWriter
from singer_sdk.singerlib import StateMessage
from singer_sdk.singerlib.json import serialize_json
from typing_extensions import override

from tap_autodesk_exports.stdout import OutputFailed, discard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from singer_sdk.singerlib.encoding.simple import Message


class TargetGone(OutputFailed):
    """Nobody reads standard output any more."""

    def __init__(self) -> None:
        super(OutputFailed, self).__init__(
            "The target has ended and reads no more; its own log says why. What it confirmed last "
            "is the state from which the next run goes on."
        )


class Output(SingerWriter):
    """Writes whole Singer messages, one thread at a time.

    Every STATE message holds the pending exports under `exports`, beside the SDK's `bookmarks`.

    Attributes:
        lock: Held while anything is written; the ledger of pending exports is kept under it too.
        pending: Returns the pending exports as JSON.
        gone: Called once when nothing can be written any more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.RLock()
        self.pending: Callable[[], list[dict[str, Any]]] = list
        self.gone: Callable[[], None] = lambda: None
        self._bookmarks = "{}"
        self._last_state = ""
        self._failure: OutputFailed | None = None

    @override
    def write_message(self, message: Message) -> None:
        with self.lock:
            if isinstance(message, StateMessage):
                self.take_bookmarks(message.value.get("bookmarks", {}))
                self.publish_pending()
            else:
                with self._whole():
                    self._last_state = ""
                    super().write_message(message)

    def write_lines(self, lines: bytes) -> None:
        """Write whole lines that are Singer messages already, UTF-8.

        Raises:
            OutputFailed: Nobody reads any more, or it cannot be written.
        """
        with self._whole():
            self._last_state = ""
            # Not in a test that replaces standard output by a text buffer.
            if (binary := getattr(sys.stdout, "buffer", None)) is None:
                sys.stdout.write(lines.decode())
                return
            sys.stdout.flush()
            binary.write(lines)

    def take_bookmarks(self, bookmarks: Mapping[str, Any]) -> None:
        """Take the bookmarks for the next STATE messages.

        As text, because exports in other threads repeat them while a stream changes its own.
        """
        with self.lock:
            self._bookmarks = serialize_json(bookmarks)

    def publish_pending(self) -> None:
        """Write a STATE message with the bookmarks as they were taken and the pending exports.

        Raises:
            OutputFailed: Nobody reads any more, or it cannot be written.
        """
        with self._whole():
            exports = serialize_json(self.pending())
            value = f'{{"bookmarks":{self._bookmarks},"exports":{exports}}}'
            if value == self._last_state:  # nothing stands between this one and the last
                return
            sys.stdout.write(f'{{"type":"STATE","value":{value}}}\n')
            sys.stdout.flush()
            self._last_state = value

    def close(self) -> None:
        """Write nothing more: what comes now comes from a thread that outlived the run."""
        with self.lock:
            self._failure = self._failure or TargetGone()

    @contextmanager
    def _whole(self) -> Iterator[None]:
        with self.lock:
            if self._failure:
                raise self._failure
            try:
                yield
            except OSError as error:
                is_gone = isinstance(error, BrokenPipeError)
                self._failure = TargetGone() if is_gone else OutputFailed(str(error.strerror))
                discard()
                self.gone()
                raise self._failure from None
