"""What an export is, and what an API must offer so that its exports can be looked after."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from tap_autodesk_exports.clock import canonical, instant
from tap_autodesk_exports.errors import TapError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ExportError(TapError):
    """An export did not come to a usable end."""


class NotFinished(ExportError):
    """The export is still being made; it stays pending in the state for the next run."""


class QuotaUsedUp(ExportError):
    """The server takes no further export for now; nothing was asked for."""


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
    """What is asked for.

    Attributes:
        api: Name of the API's service.
        owner: Whose data: a team, contract or account ID; empty for all that the user may see.
        name: What for: a stream, or `extract` for the one job that serves many tables.
        slot: Which part of it, in words that do not depend on the time of the run: `2026-11`.
        body: The request body without dates; JSON types only.
        start: Begin of the window in the canonical form, or None where no dates are asked for.
        end: End of the window in the canonical form (exclusive), or None.
        existing: ID of an export that is there already and is to be used; nothing is submitted.
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
        """A short mark of what is asked for, dates apart, by which it is known on the server."""
        text = json.dumps([self.api, self.owner, self.name, self.slot, self.body], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclasses.dataclass(frozen=True)
class PendingExport:
    """An export that was asked for, or is about to be.

    Attributes:
        spec: What was asked for.
        asked_at: When, in the canonical form, by the clock of this machine.
        mark: What the service noted before it asked, to recognise the export afterwards.
        id: The server's ID; None until the server has answered.
    """

    spec: ExportSpec
    asked_at: str
    mark: Any = None
    id: str | None = None


def status_of(said: str, statuses: Mapping[str, Status], pending: PendingExport) -> Status:
    """Translate the server's word, whatever its case.

    Raises:
        ExportError: Nobody documented this word; waiting for another one could last for ever.
    """
    status = {word.lower(): status for word, status in statuses.items()}.get(said.lower())
    if status is None:
        msg = (
            f"The {pending.spec.title} ({pending.id}) has the unknown status '{said}'. It stays "
            "pending; a newer release of this tap may know the status."
        )
        raise ExportError(msg)
    return status


@dataclasses.dataclass(frozen=True)
class ExportFile:
    """A file of a finished export.

    Attributes:
        name: File name, or where the API has none, its number.
        kind: What the API says is inside, such as `USAGE`; empty where it does not say.
        size: Bytes as listed; None where the API does not tell.
    """

    name: str
    kind: str = ""
    size: int | None = None


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
        """When the source took the snapshot, canonical; or else when it was asked for."""
        at = instant(self.status.exported_at)
        return canonical(at) if at else self.pending.asked_at


class ExportService(Protocol):
    """An API that makes exports. Each method may raise a `TapError`.

    Attributes:
        name: Name of the API.
        attempts: How often one export may be asked for in a run, when it fails on the server.
        longest_pause: Most seconds between two looks, where the settings do not say.
    """

    name: str
    attempts: int
    longest_pause: float

    def mark(self, spec: ExportSpec) -> Any:  # noqa: ANN401
        """Note what helps to recognise the export, should the answer to `submit` be lost."""

    def submit(self, pending: PendingExport) -> str:
        """Ask for the export; return the server's ID.

        Raises:
            QuotaUsedUp: No more exports are taken for now.
            TapError: With `executed` true where the server may have taken it all the same.
        """

    def find_lost(self, pending: PendingExport, known: Sequence[str]) -> str | None:
        """Search the server's list for an export whose ID was lost; `known` are not it."""

    def find_running(self, spec: ExportSpec, known: Sequence[str]) -> PendingExport | None:
        """Search the server for an export like `spec` that is being made and not `known`.

        It helps where the whole state was lost. None where the server's list does not tell enough
        to be sure.
        """

    def poll(self, pending: PendingExport) -> ExportStatus:
        """See where the export stands.

        Raises:
            ExportError: The server uses a status that nobody documented.
        """

    def retry(self, pending: PendingExport) -> bool:
        """Ask the server to make a failed export again under its ID; False if it cannot."""

    def covers(self, pending: ExportSpec, wanted: ExportSpec) -> bool:
        """Tell whether what was asked for serves for what is wanted, dates apart."""

    def signed_link(self, finished: FinishedExport, file: ExportFile) -> str:
        """Return a fresh signed URL of a file. It is a secret, and short-lived."""
