"""What an export is, and what an API must offer so that its exports can be looked after."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from tap_autodesk_exports.clock import canonical, instant
from tap_autodesk_exports.errors import TapError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


MOST_GIVEN_UP = 20
"""IDs of exports of no use that an entry of the ledger remembers; older ones are gone by then."""
YOUNG = dt.timedelta(hours=23)
"""Up to this age a finished export is used that a run requested whose state was lost: a day, less
an hour so that a daily run that never has a state requests its exports every day."""
ENDS_WITHIN = dt.timedelta(days=1)
"""How far before its request an export of all there is may end: some APIs take days, not times."""
JITTER = 0.1
"""The greatest share by which a pause is longer, so that many exports are not polled at once."""


class ExportError(TapError):
    """An export did not come to a usable end."""


class NotFinished(ExportError):
    """The export is still being made; it stays pending in the state for the next run."""


class NotAvailable(ExportError):
    """The server has the export, or had it, and does not give it; another one may serve."""


class NotUnderstood(ExportError):
    """What the server answers about an export is not understood, which may change.

    A word for its state that nobody documented, or a page in place of JSON.
    """


class NoFiles(ExportError):
    """The export is ready and names no file."""


class NoTable(ExportError):
    """The export has no file of one table, which is asked for again; others may have theirs."""


class QuotaUsedUp(ExportError):
    """The server accepts no further export for now; nothing was requested."""


class Status(Enum):
    """Where an export stands, in one vocabulary for all APIs."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"
    GONE = "gone"
    """Expired or deleted: the server cannot give its files any more."""


@dataclasses.dataclass(frozen=True)
class ExportSpec:
    """What is requested.

    Attributes:
        api: Name of the API's service.
        owner: Whose data: a team, contract or account ID; empty for all that the user may see.
        name: What it is for: a stream, or `extract` for the one job that serves many tables.
        slot: Which part of it, in words that do not depend on the time of the run: `2026-11`.
        body: The request body without dates; JSON types only.
        start: Start of the window in the canonical form, or None where no dates are requested.
        end: End of the window in the canonical form (exclusive), or None.
        existing: ID of an export that is there already and must be used; nothing is submitted.
    """

    api: str
    owner: str
    name: str
    slot: str = ""
    body: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    start: str | None = None
    end: str | None = None
    existing: str | None = None

    @property
    def key(self) -> str:
        """Identity in the ledger: the same part of the same thing, whatever its dates."""
        return f"{self.api}/{self.name}/{self.owner}/{self.slot}"

    @property
    def title(self) -> str:
        """The export in words, for logs and errors."""
        owner = f" of {self.owner}" if self.owner else ""
        slot = f" ({self.slot})" if self.slot else ""
        return f"{self.api} export '{self.name}'{owner}{slot}"

    @property
    def content(self) -> str:
        """A short mark of what is requested, dates apart, by which it is known on the server."""
        return _digest([self.api, self.owner, self.name, self.slot, self.body], 8)

    def ends_by(self, end: str, asked_at: dt.datetime) -> bool:
        """Tell whether an export on the server ends where this one does.

        Or as much earlier as it was requested, which the next run makes up for. One that was
        requested with another end date is another one.

        Args:
            end: Its end in the canonical form.
            asked_at: When it was requested.
        """
        last = min(self.end or end, canonical(asked_at - ENDS_WITHIN))
        return end >= last


def _digest(value: Any, length: int) -> str:  # noqa: ANN401
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


@dataclasses.dataclass(frozen=True)
class Loaded:
    """What the bookmarks that an export moves say was loaded.

    Attributes:
        marks: IDs of exports, ends of windows.
        taken_at: When the newest loaded snapshot was taken; None without one.
        end: Up to where everything is loaded that goes by date; empty where some of it is not
            loaded at all, None where nothing goes by date.
    """

    marks: tuple[str, ...] = ()
    taken_at: str | None = None
    end: str | None = None

    @classmethod
    def of(cls, parts: Iterable[Loaded]) -> Loaded:
        """Put together what several bookmarks say."""
        parts = list(parts)
        return cls(
            tuple(sorted({mark for part in parts for mark in part.marks})),
            max((part.taken_at for part in parts if part.taken_at), default=None),
            min((part.end for part in parts if part.end is not None), default=None),
        )

    def overtakes(self, pending: PendingExport, wanted: ExportSpec) -> bool:
        """Tell whether an export is older than what was loaded: rows would go back in time.

        Its snapshots were requested before the loaded ones were taken, or its dates end before the
        bookmark, and are not all that is wanted.
        """
        if self.taken_at and pending.asked_at < self.taken_at:
            return True
        end = pending.spec.end
        return bool(end and wanted.end and self.end and end < wanted.end and end <= self.end)

    def outlasts(self, pending: PendingExport, now: dt.datetime) -> bool:
        """Tell whether a part of an export was loaded, and a daily run could have a newer one.

        What fails on it in every run would keep the others from newer rows.
        """
        asked = instant(pending.asked_at)
        is_loaded = self.taken_at == pending.asked_at
        return is_loaded and asked is not None and now - asked > YOUNG


@dataclasses.dataclass(frozen=True)
class PendingExport:
    """An export that was requested, or is about to be.

    Attributes:
        spec: What was requested.
        asked_at: When, in the canonical form, by the clock of this machine.
        mark: What the service noted before the request, to recognise the export afterwards.
        id: The server's ID; None until the server has answered.
        given_up: IDs of exports that were requested for the same and must not be used.
        loaded: What the bookmarks said was loaded when it was planned: IDs of exports, ends of
            windows. An export that was planned from the same state is the same work.
    """

    spec: ExportSpec
    asked_at: str
    mark: Any = None
    id: str | None = None
    given_up: tuple[str, ...] = ()
    loaded: tuple[str, ...] = ()

    @property
    def base(self) -> str:
        """A short mark of the state that it was planned from; empty where nothing was loaded."""
        return _digest(sorted(self.loaded), 6) if self.loaded else ""

    @property
    def is_given_up(self) -> bool:
        """Whether this very export must not be used."""
        return self.id is not None and self.id in self.given_up

    @property
    def all_given_up(self) -> tuple[str, ...]:
        """What another export in the place of this one must not be."""
        return tuple(dict.fromkeys((*self.given_up, *filter(None, [self.id]))))[-MOST_GIVEN_UP:]


def known_status(said: str, statuses: Mapping[str, Status]) -> Status | None:
    """Translate the server's word, whatever its case; None for one that nobody documented."""
    return {word.lower(): status for word, status in statuses.items()}.get(said.lower())


def status_of(said: str, statuses: Mapping[str, Status], pending: PendingExport) -> Status:
    """Translate the server's word, whatever its case.

    Raises:
        NotUnderstood: Nobody documented this word; waiting for another one could last for ever.
    """
    status = known_status(said, statuses)
    if status is None:
        msg = (
            f"The {pending.spec.title} ({pending.id}) has the unknown status '{said}', which a "
            "newer release of this tap may know."
        )
        raise NotUnderstood(msg)
    return status


@dataclasses.dataclass(frozen=True)
class ExportFile:
    """A file of a finished export.

    Attributes:
        name: File name, or where the API has none, its number.
        kind: What the API says is inside, such as `USAGE`; empty where it does not say.
        size: Bytes as listed; None where the API does not say.
        place: Where the storage has it, without what is secret; empty where that is unknown.
    """

    name: str
    kind: str = ""
    size: int | None = None
    place: str = dataclasses.field(default="", repr=False)


@dataclasses.dataclass(frozen=True)
class ExportStatus:
    """What polling an export showed.

    Attributes:
        state: Where it is in its life.
        said: The server's own word for it.
        export_id: The ID that rows of this export carry.
        exported_at: When the source took the snapshot, as it writes it; None until known.
        files: Its files, once READY.
        percent: How much of it is done, where the server says so.
    """

    state: Status
    said: str
    export_id: str
    exported_at: str | None = None
    files: Sequence[ExportFile] = ()
    percent: int | None = None


@dataclasses.dataclass(frozen=True)
class FinishedExport:
    """An export whose files can be fetched."""

    pending: PendingExport
    status: ExportStatus

    @property
    def export_id(self) -> str:
        """The ID that rows of this export carry."""
        return self.status.export_id

    @property
    def files(self) -> Sequence[ExportFile]:
        """Its files."""
        return self.status.files

    @property
    def exported_at(self) -> str:
        """When the source took the snapshot, canonical; or else when it was requested."""
        at = instant(self.status.exported_at)
        return canonical(at) if at else self.pending.asked_at

    @property
    def taken_at(self) -> str:
        """The same, but never later than the request: what was requested before it is older."""
        return min(self.exported_at, self.pending.asked_at)


class ExportService(Protocol):
    """An API that makes exports. Each method may raise a `TapError`.

    Attributes:
        name: Name of the API.
        attempts: How often one export may be requested in a run, when it fails on the server.
        longest_pause: Most seconds between two polls, where the settings do not say.
        kept: How long the server keeps an export.
    """

    name: str
    attempts: int
    longest_pause: float
    kept: dt.timedelta

    def mark(self, pending: PendingExport) -> Any:  # noqa: ANN401
        """Note what helps to recognise the export, should the answer to `submit` be lost."""

    def submit(self, pending: PendingExport) -> str:
        """Request the export; return the server's ID.

        Raises:
            QuotaUsedUp: No more exports are accepted for now.
            TapError: With `executed` true where the server may have accepted it all the same.
        """

    def find_lost(self, pending: PendingExport, known: Sequence[str]) -> str | None:
        """Search the server's list for an export whose ID was lost; `known` are not it."""

    def find_existing(self, wanted: PendingExport, known: Sequence[str]) -> PendingExport | None:
        """Search the server for an export that a run requested and the state lost.

        One that is still being made, or one that was finished meanwhile, is young, and was planned
        from the same state. None where the server's list does not tell enough to be sure.

        Args:
            wanted: The export that would be requested now.
            known: IDs that the state knows: they are not it.
        """

    def poll(self, pending: PendingExport) -> ExportStatus:
        """See where the export stands.

        Raises:
            NotAvailable: The server refuses to tell, or it is ready and has no files.
            NotUnderstood: The server uses a status that nobody documented, or answers no JSON.
        """

    def retry(self, pending: PendingExport) -> bool:
        """Ask the server to make a failed export again under its ID; False if it cannot."""

    def covers(self, pending: ExportSpec, wanted: ExportSpec) -> bool:
        """Tell whether what was requested serves for what is wanted, dates apart."""

    def signed_link(self, finished: FinishedExport, file: ExportFile) -> str:
        """Return a fresh signed URL of a file. It is a secret, and short-lived.

        Raises:
            NotAvailable: The server gives none.
            NotUnderstood: The server answers no JSON.
        """
