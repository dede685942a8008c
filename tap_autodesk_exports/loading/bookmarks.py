"""How far each partition of a dataset is loaded: reading and moving its bookmarks.

Every bookmark also has `identity`, see `identity.py`. The dataset's own has `replacing` where rows
replace the whole table: their version until it is activated, 0 then.

The keys of a bookmark: `replication_key`, `replication_key_value` and `start` of what is dated or
filtered; `unbroken_from` where a later `start_date` left a gap before it; `last_export_id` of what
is dated, since two runs may end at the same date, and of what is loaded again; `export_id` and
`taken_at` of a snapshot that was sent; `columns`, the mark of those that were; `version_is_open`
where its rows were sent and ACTIVATE_VERSION was not; `owners` where one has the rows of several,
such as of all teams; `replaced_until` where the rows end that a new version replaces, and
`replaces_rows` where it replaces any. A `Source` may add others.
"""

from __future__ import annotations

import dataclasses
import zlib
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Protocol

from tap_autodesk_exports.clock import canonical, instant
from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.exports.export import Loaded
from tap_autodesk_exports.loading.identity import is_of_no_row
from tap_autodesk_exports.loading.starts import Starts

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from tap_autodesk_exports.exports.export import FinishedExport
    from tap_autodesk_exports.tables.hashing import Hashing
    from tap_autodesk_exports.tables.types import Type

VERSION_IS_OPEN = "version_is_open"
"""Marks a bookmark whose rows were sent, and ACTIVATE_VERSION was not, because others failed."""
IDENTITY, REPLACING = "identity", "replacing"
LAST_EXPORT, TAKEN = "last_export_id", "taken_at"
OWNERS, UNTIL, REPLACES_ROWS = "owners", "replaced_until", "replaces_rows"
_KEPT = frozenset({"context", "start", "partitions", TAKEN, OWNERS, REPLACES_ROWS})
INCREMENTAL, FULL_TABLE = "INCREMENTAL", "FULL_TABLE"

State = dict[str, Any]
"""One bookmark, changed in place."""


class States(Protocol):
    """Where the bookmarks of one dataset are kept."""

    def of(self, partition: Mapping[str, str]) -> State:
        """Return the bookmark of a partition, made where missing; empty: the dataset's own."""

    def known_partitions(self) -> Sequence[State]:
        """Return the bookmarks of all partitions, each with its `context`."""


def all_of(states: States) -> Sequence[State]:
    """Return the dataset's own bookmark, which has no `context`, and those of its partitions."""
    return [states.of({}), *states.known_partitions()]


class DictStates:
    """Bookmarks in a dictionary of the form that Singer states have.

    Args:
        state: `{}` or a dataset's own bookmark with `partitions: [{"context": {…}, …}]`.
    """

    def __init__(self, state: State) -> None:
        self.state = state

    def of(self, partition: Mapping[str, str]) -> State:
        """Return the bookmark of a partition, made where missing; empty: the dataset's own."""
        if not partition:
            return self.state
        for state in self.known_partitions():
            if state["context"] == partition:
                return state
        made: State = {"context": dict(partition)}
        self.state.setdefault("partitions", []).append(made)
        return made

    def known_partitions(self) -> Sequence[State]:
        """Return the bookmarks of all partitions, each with its `context`."""
        found: Sequence[State] = self.state.get("partitions") or ()
        return found


@dataclasses.dataclass(frozen=True)
class Replication:
    """How a dataset is replicated.

    Attributes:
        method: `INCREMENTAL` or `FULL_TABLE`.
        is_dated: Whether exports are requested by date.
        key: The replication key.
        key_type: Its type; None where the dataset has no such column.
    """

    method: str
    is_dated: bool
    key: str | None = None
    key_type: Type | None = None

    @property
    def is_filtered(self) -> bool:
        """Whether only those rows of a snapshot are sent that are newer than the bookmark."""
        return self.method == INCREMENTAL and not self.is_dated


class Bookmarks:
    """The bookmarks of one dataset.

    Args:
        states: Where they are kept.
        replication: How the dataset is replicated.
        columns: Names of the selected columns, in order.
        hashing: Which of them are hashed, and with which key.
        mapping: What else says how rows are sent, as text, such as stream maps.

    Attributes:
        starts: From where this run reads the partitions.
    """

    def __init__(
        self,
        states: States,
        replication: Replication,
        columns: Iterable[str],
        hashing: Hashing | None = None,
        mapping: str = "",
    ) -> None:
        self.states = states
        self.replication = replication
        self._hashing = hashing
        self._selection = _selection(list(columns), hashing, mapping)
        self.starts = Starts()

    def position(self, partition: Mapping[str, str]) -> dt.datetime | None:
        """Return the instant up to which a partition is loaded; None where all of it is wanted."""
        if self.replication.method != INCREMENTAL:
            return None
        return instant(self.states.of(partition).get("replication_key_value"))

    def bound(self, partition: Mapping[str, str]) -> str | None:
        """Return the bookmark of the replication key; None where it belongs to another key."""
        state = self.states.of(partition)
        value: str | None = state.get("replication_key_value")
        if state.get("replication_key") != self.replication.key or not self._can_be(value):
            return None
        return value

    @property
    def _is_by_number(self) -> bool:
        return self.replication.key_type is not None and self.replication.key_type.is_number

    def _can_be(self, value: str | None) -> bool:
        """Tell whether a text can be a bookmark: one that is compared must be of its type."""
        if value is None:
            return False
        if self.replication.is_dated:
            return instant(value) is not None
        return not self._is_by_number or _is_number(value)

    def after(self, partition: Mapping[str, str]) -> tuple[str, str] | None:
        """Return replication key and bound of the rows of a snapshot to send; None for all."""
        is_as_before = self.states.of(partition).get("columns") in {None, self._selection}
        bound = self.bound(partition) if self.replication.is_filtered and is_as_before else None
        return (str(self.replication.key), bound) if bound else None

    def has_other_rows(self) -> bool:
        """Tell whether rows of this run differ in their columns from those that stay as they are.

        Of what is read by date, only the days of the look-back are sent again.
        """
        before = {self.states.of(partition).get("columns") for partition in self.starts.partitions}
        return self.replication.is_dated and not before <= {None, self._selection}

    def check(self) -> None:
        """Refuse a replication key that cannot be one.

        Raises:
            ConfigurationError: It is no column, or its values are hashed.
        """
        if not self.replication.is_filtered:
            return
        key = self.replication.key
        if self.replication.key_type is None:
            msg = (
                "The catalog asks for INCREMENTAL replication with the replication key "
                f"'{key or ''}', which is not a column of this stream: choose one, such as "
                "'updated_at' where it exists, or FULL_TABLE."
            )
            raise ConfigurationError(msg)
        if self._hashing and self._hashing.applies(str(key)):
            msg = (
                f"'hash_columns' hides the column '{key}', whose greatest value the bookmark would "
                "show: leave it out, or choose another replication key."
            )
            raise ConfigurationError(msg)

    def earliest_start(self) -> str | None:
        """Return where the first load of any partition started, in the canonical form."""
        starts = (str(state.get("start")) for state in all_of(self.states))
        return min((start for start in starts if instant(start)), default=None)

    def start(self, partition: Mapping[str, str], start: dt.datetime) -> dt.datetime:
        """Return from where a partition is read, given where the settings start, and note it.

        Where the whole table is replaced, that is where its first load started, so that nothing
        of it is lost.
        """
        first = instant(self.earliest_start()) if self.replacing else None
        begins = min(start, first) if first and self.position(partition) is None else start
        self.starts.plan(partition, begins)
        return begins

    # What was sent before

    def loaded(self, partition: Mapping[str, str]) -> Loaded:
        """Return what a partition says was loaded last: an export's ID, the end of a window."""
        known, own = self.states.known_partitions(), self.states.of({})
        mine = [state for state in known if state["context"] == partition]
        marked = mine if partition else [own]
        names = ("export_id", LAST_EXPORT, "replication_key_value")
        marks = [str(state[name]) for state in marked for name in names if state.get(name)]
        # The same rows may have been loaded for all together, or one by one.
        others = [state for state in (own, *known) if _overlap(state.get("context"), partition)]
        is_dated = self.replication.is_dated  # then one's own is judged by its end
        taken = [instant(str(s.get(TAKEN))) for s in (*others, *([] if is_dated else marked))]
        taken_at = max((canonical(at) for at in taken if at), default=None)
        end = self.position(partition)
        if is_dated and end is None and self.replacing:  # an export must reach what it replaces
            end = max(filter(None, (instant(str(s.get(UNTIL))) for s in marked)), default=None)
            end = end.replace(microsecond=0) if end else None
        until = (canonical(end) if end else "") if is_dated else None
        return Loaded(tuple(marks), taken_at, until)

    def is_loaded(self, partition: Mapping[str, str], finished: FinishedExport) -> bool:
        """Tell whether the rows of this very export were sent before, with the same columns."""
        state = self.states.of(partition)
        key = self.replication.key if self.replication.is_filtered else None
        return (
            state.get("replication_key") in {None, key}
            and state.get("export_id") == finished.export_id
            and state.get("columns") == self._selection
        )

    def move(
        self, partition: Mapping[str, str], finished: FinishedExport, newest: str | None = None
    ) -> State:
        """Move the bookmark over an export whose rows were all sent, and return it.

        Args:
            partition: Whose bookmark.
            finished: The export.
            newest: The replication key's greatest value, where rows of a snapshot are filtered.
        """
        state = self.states.of(partition)
        spec, replication = finished.pending.spec, self.replication
        before = self.bound(partition)
        end = newest if replication.is_filtered else spec.end
        if replication.is_dated and spec.start:
            self.starts.note(state, partition, spec.start, before)
        state.update({"columns": self._selection, TAKEN: finished.taken_at})
        if replication.is_dated:
            state[LAST_EXPORT] = finished.export_id
        if replication.method == INCREMENTAL and end:
            state["replication_key"] = replication.key
            state["replication_key_value"] = self._later(before, end) if before else end
        if not replication.is_dated:
            state["export_id"] = finished.export_id
            if not replication.is_filtered:
                # All rows of a snapshot were sent; an earlier bookmark means nothing now.
                state.pop("replication_key", None)
                state.pop("replication_key_value", None)
        return state

    def _later(self, one: str, other: str) -> str:
        """Return the greater of two values of the replication key."""
        return max(one, other, key=Decimal if self._is_by_number else None)

    # Versions of a whole table

    def open_version(self, partition: Mapping[str, str]) -> None:
        """Note that rows of a new version are being sent."""
        self.states.of(partition)[VERSION_IS_OPEN] = True

    def version_is_open(self, partition: Mapping[str, str]) -> bool:
        """Tell whether rows of a version were sent that was never activated."""
        return bool(self.states.of(partition).get(VERSION_IS_OPEN))

    def close_version(self, partition: Mapping[str, str]) -> None:
        """Note that the version was activated."""
        # Not removed: where Meltano merges two states, it would come back.
        self.states.of(partition)[VERSION_IS_OPEN] = False

    # What the keys of the rows are made of

    def has_rows(self, partition: Mapping[str, str]) -> bool:
        """Tell whether a target has rows of a partition."""
        return self._is_there(self.states.of(partition))

    def identity(self, partition: Mapping[str, str]) -> str | None:
        """Return the mark of what the keys of a partition's rows are made of; None without rows."""
        state = self.states.of(partition)
        mark: str | None = state.get(IDENTITY)
        return mark if self._has_rows(state) else None

    def identities(self) -> list[str | None]:
        """Return the marks of all partitions with rows; None for those that have none."""
        own = self.states.of({})
        found = [
            state.get(IDENTITY) for state in self.states.known_partitions() if self._has_rows(state)
        ]
        return [*found, own.get(IDENTITY)] if self._has_rows(own) or self.replacing else found

    def note_identity(self, partition: Mapping[str, str], mark: str) -> None:
        """Note what the keys of a partition's rows are made of."""
        self.states.of(partition)[IDENTITY] = mark

    def _has_rows(self, state: State) -> bool:
        # A bookmark that cannot be read, and that no run of this tap wrote, counts as none.
        value = state.get("replication_key_value")
        is_loaded = bool(value) and (self._can_be(value) or bool(state.get(IDENTITY)))
        # What is read by date and whole each time has neither: it has the columns that were sent.
        is_loaded = is_loaded or bool(state.get("export_id") or state.get("columns"))
        return is_loaded and not is_of_no_row(state.get(IDENTITY))

    @property
    def replacing(self) -> int:
        """The version of the rows that replace the whole table; 0 where none is being sent."""
        version = self.states.of({}).get(REPLACING)
        return version if isinstance(version, int) else 0

    def restart(self, version: int, mark: str) -> None:
        """Forget what was loaded, except where it started, so that all of it is loaded again.

        Args:
            version: That of the rows that will replace the whole table.
            mark: What their keys are made of.
        """
        for state in all_of(self.states):
            is_open = self._is_there(state)
            last_export = state.get("export_id") or state.get(LAST_EXPORT)
            until = state.get("replication_key_value") or state.get(UNTIL)
            for name in state:
                if name not in _KEPT:
                    # Not removed: where Meltano merges two states, it would come back.
                    state[name] = None
            state[VERSION_IS_OPEN] = is_open
            if self.replication.is_dated and until:
                state[UNTIL] = until
            if last_export:  # what is loaded again must not be what was loaded before
                state[LAST_EXPORT] = last_export
        self.states.of({}).update({REPLACING: version, IDENTITY: mark})

    def loaded_partitions(self) -> list[Mapping[str, str]]:
        """Return the contexts of the partitions whose rows a target has."""
        return [
            state["context"] for state in self.states.known_partitions() if self._is_there(state)
        ]

    def _is_there(self, state: State) -> bool:
        return self._has_rows(state) or bool(state.get(VERSION_IS_OPEN))

    def end_replacing(self) -> None:
        """Note that the version that replaces the whole table was activated."""
        self.states.of({})[REPLACING] = 0


def _overlap(context: Mapping[str, str] | None, other: Mapping[str, str]) -> bool:
    """Tell whether one of two partitions is a part of the other, such as a team of all teams."""
    one, two = (context or {}).items(), other.items()
    return one != two and (one <= two or two <= one)


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


def _selection(columns: list[str], hashing: Hashing | None, mapping: str) -> str:
    """Return a short mark of the selected columns, those hashed and their key, and the map."""
    names = " ".join([*columns, *filter(None, [mapping])])
    if hashing and (hashed := [name for name in columns if hashing.applies(name)]):
        names += f" {hashing.of(' '.join(hashed))}"
    return mark_of(names)


def mark_of(text: str) -> str:
    """Return a short mark of a text: 8 hex digits."""
    return f"{zlib.crc32(text.encode()):08x}"
