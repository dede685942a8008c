"""The state of an export: kept in the destination, changed together with its rows."""

from __future__ import annotations

import copy
import json
import logging
import threading
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.destinations.destination import DestinationError
from tap_autodesk_exports.json_reading import read_json
from tap_autodesk_exports.loading.bookmarks import TAKEN
from tap_autodesk_exports.loading.state import usable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger("tap-autodesk-exports")

State = dict[str, Any]


class KeptState:
    """The state of a run: what was committed, and what this run makes of it.

    It has the form of a Singer state, `bookmarks` and `exports`, and `names`: name of a stream ->
    columns that have, or in another style would have, another name in the destination than in the
    catalog.

    An export that was loaded and is not committed yet stays pending in what is written, so that
    the run after a killed one resumes it.

    Args:
        write: Keeps a state in the destination.

    Attributes:
        lock: Held while the state changes; the ledger of pending exports is kept under it too.
        pending: Returns the pending exports as JSON.
        bookmarks: Name of a stream -> its bookmark, as this run has it.
        names: Name of a stream -> name of a column -> its name in the destination.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self.lock = threading.RLock()
        self._write = write
        self.exports: list[State] = []
        self.pending: Callable[[], list[State]] = lambda: self.exports
        self.bookmarks: dict[str, State] = {}
        self.names: dict[str, dict[str, str]] = {}
        self._committed: dict[str, State] = {}
        self._published: dict[str, State] = {}
        self._reverted: set[str] = set()
        self._closed = False

    def read(self, text: str | None) -> None:
        """Begin with the state that the destination has; None where it has none.

        Parts of it that cannot be read are named in the log and ignored.

        Raises:
            DestinationError: It is no state.
        """
        state = usable(_read(text))
        self.exports = state["exports"]
        self.bookmarks = state["bookmarks"]
        self.names = _names(state.get("names"))
        self._committed = copy.deepcopy(self.bookmarks)
        self._published = {_key(entry): entry for entry in self.exports}

    def of(self, stream: str) -> State:
        """Return the bookmark of a stream, made where it is missing."""
        return self.bookmarks.setdefault(stream, {})

    def publish_pending(self) -> None:
        """Write the committed bookmarks with the pending exports.

        Raises:
            DestinationError: They cannot be written, or the run is over.
        """
        with self.lock:
            if self._closed:
                msg = "The run is over, so nothing more is noted."
                raise DestinationError(msg)
            # What was loaded and is not committed is still there.
            now = {**self._published, **self._pending()}
            self._write(self._text(self._committed, now))
            self._published = now

    def proposed(self) -> str:
        """Return the state with what this run has loaded, to be committed with its rows."""
        with self.lock:
            return self._text(self.bookmarks, self._still_pending())

    def accept(self) -> None:
        """Take note that the proposed state was committed."""
        with self.lock:
            self._committed = copy.deepcopy(self.bookmarks)
            self._published = self._still_pending()

    def commit_alone(self, stream: str) -> None:
        """Write the state where a stream has noted something in it without rows."""
        with self.lock:
            if self.of(stream) != self._committed.get(stream, {}):
                self._write(self.proposed())
                self.accept()

    def revert(self, stream: str) -> None:
        """Forget what this run has loaded of a stream, as none of it is kept.

        No export of it is taken for loaded any more, and none that several streams share: which of
        those it needs again is not known. Those of other streams are, or they would not load newer
        ones while this one fails.
        """
        with self.lock:
            self._reverted.add(stream)
            # In place: the loader goes on with the same bookmark.
            bookmark = self.of(stream)
            bookmark.clear()
            bookmark.update(copy.deepcopy(self._committed.get(stream, {})))

    def close(self) -> None:
        """Write the last state; nothing is written from then on."""
        with self.lock:
            if not self._closed:
                self._write(self._text(self._committed, self._still_pending()))
                self._closed = True

    def _still_pending(self) -> dict[str, State]:
        """Return what is pending once all that this run has loaded is committed."""
        kept = {key: one for key, one in self._published.items() if self._is_kept(one)}
        return {**kept, **self._pending()}

    def _is_kept(self, entry: State) -> bool:
        """Tell whether an export stays pending though it was loaded, as none of that is kept."""
        name = _object(entry.get("spec")).get("name")
        return name in self._reverted or bool(self._reverted and name not in self.bookmarks)

    def _pending(self) -> dict[str, State]:
        return {_key(entry): entry for entry in self.pending()}

    def _text(self, bookmarks: Mapping[str, State], exports: Mapping[str, State]) -> str:
        state = {"bookmarks": bookmarks, "exports": [*exports.values()], "names": self.names}
        return json.dumps(state, ensure_ascii=False)


def forget_lost(state: State, what: str, is_there: Callable[[str], bool]) -> None:
    """Take out of a state what it says of streams whose rows are there no more.

    They are loaded again from the start, and their columns may be named anew.

    Args:
        state: As the destination keeps it, changed in place.
        what: What holds the rows of a stream: a table or a file.
        is_there: Tells whether a stream has one.
    """
    bookmarks, names = (_object(state.get(part)) for part in ("bookmarks", "names"))
    for stream in {*bookmarks, *names}:
        was_loaded = _was_loaded(bookmarks.get(stream))
        if (was_loaded or stream in names) and not is_there(stream):
            names.pop(stream, None)
            if was_loaded:
                logger.warning("%s: its %s is gone, so all of it is loaded again.", stream, what)
                del bookmarks[stream]


def _was_loaded(bookmark: Any) -> bool:  # noqa: ANN401
    own = _object(bookmark)
    partitions = own.get("partitions")
    parts = partitions if isinstance(partitions, list) else []
    return any(TAKEN in _object(part) for part in (own, *parts))


def _object(value: Any) -> State:  # noqa: ANN401
    return value if isinstance(value, dict) else {}


def _key(entry: Mapping[str, Any]) -> str:
    """Return what tells a pending export from others, as the ledger does."""
    spec = entry.get("spec")
    parts = spec if isinstance(spec, dict) else {}
    return "/".join(str(parts.get(name, "")) for name in ("api", "name", "owner", "slot"))


def _names(found: Any) -> dict[str, dict[str, str]]:  # noqa: ANN401
    """Return the names of columns that a state holds, without what can be none."""
    streams = found if isinstance(found, dict) else {}
    return {
        stream: {column: own for column, own in names.items() if own and isinstance(own, str)}
        for stream, names in streams.items()
        if isinstance(names, dict)
    }


def _read(text: str | None) -> State:
    """Return the state that a destination has.

    Raises:
        DestinationError: It is no state.
    """
    if text is None:
        return {}
    try:
        state = read_json(text)
    except ValueError:
        state = None
    if not isinstance(state, dict):
        msg = (
            "The state that the destination keeps cannot be read: restore it, or remove it "
            "together with the tables, so that all is loaded again."
        )
        raise DestinationError(msg)
    return state
