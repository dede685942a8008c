"""Standard output, shared by the stream that emits and by the exports that note their IDs."""

from __future__ import annotations

import copy
import sys
import threading
from typing import TYPE_CHECKING, Any

from singer_sdk.io_base import SingerWriter
from singer_sdk.singerlib import StateMessage
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable

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
        self._bookmarks: dict[str, Any] = {}

    @override
    def write_message(self, message: Message) -> None:
        with self.lock:
            if isinstance(message, StateMessage):
                # A copy: exports in other threads repeat these bookmarks while a stream goes on.
                self._bookmarks = copy.deepcopy(dict(message.value.get("bookmarks", {})))
                message = self._state()
            super().write_message(message)

    def write_lines(self, lines: bytes) -> None:
        """Write whole lines that are Singer messages already, UTF-8."""
        with self.lock:
            # Not in a test that replaces standard output by a text buffer.
            if (binary := getattr(sys.stdout, "buffer", None)) is None:
                sys.stdout.write(lines.decode())
                return
            sys.stdout.flush()
            binary.write(lines)

    def publish_pending(self) -> None:
        """Write a STATE message that differs from the last one in the pending exports only."""
        with self.lock:
            super().write_message(self._state())

    def begin_with(self, bookmarks: dict[str, Any]) -> None:
        """Take the bookmarks of the run's first state."""
        self._bookmarks = copy.deepcopy(bookmarks)

    def _state(self) -> StateMessage:
        return StateMessage({"bookmarks": self._bookmarks, "exports": self.pending()})
