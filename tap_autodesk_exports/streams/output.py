"""Standard output, shared by the stream that emits and by the exports that note their IDs."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from singer_sdk.io_base import SingerWriter
from singer_sdk.singerlib import StateMessage
from singer_sdk.singerlib.json import serialize_json
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from singer_sdk.singerlib.encoding.simple import Message


class Output(SingerWriter):
    """Writes whole Singer messages, one thread at a time.

    Every STATE message holds the pending exports under `exports`, beside the SDK's `bookmarks`.

    Attributes:
        lock: Held while anything is written; the ledger of pending exports is kept under it too.
        pending: Returns the pending exports as JSON.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.RLock()
        self.pending: Callable[[], list[dict[str, Any]]] = list
        self._bookmarks = "{}"
        self._last_state = ""

    @override
    def write_message(self, message: Message) -> None:
        with self.lock:
            if isinstance(message, StateMessage):
                self.take_bookmarks(message.value.get("bookmarks", {}))
                self.publish_pending()
            else:
                self._last_state = ""
                super().write_message(message)

    def write_lines(self, lines: bytes) -> None:
        """Write whole lines that are Singer messages already, UTF-8."""
        with self.lock:
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
        """Write a STATE message with the bookmarks as they were taken and the pending exports."""
        with self.lock:
            exports = serialize_json(self.pending())
            value = f'{{"bookmarks":{self._bookmarks},"exports":{exports}}}'
            if value == self._last_state:  # nothing stands between this one and the last
                return
            self._last_state = value
            sys.stdout.write(f'{{"type":"STATE","value":{value}}}\n')
            sys.stdout.flush()
