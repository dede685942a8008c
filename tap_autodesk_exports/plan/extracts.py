"""The extracts that the selected snapshots need: requested, resumed or used again, and waited for.

It is done as in a run of the tap, but nothing is loaded and no state is kept: an extract that an
earlier call requested is found on the server.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.errors import Stopped, TapError
from tap_autodesk_exports.session import Session
from tap_autodesk_exports.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.exports.export import FinishedExport
    from tap_autodesk_exports.loading.dataset import Load, Selected

logger = logging.getLogger("tap-autodesk-exports")


class NoOutput:
    """Where a run without messages writes its state."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.pending: Callable[[], list[dict[str, Any]]] = list

    def publish_pending(self) -> None:
        """Nothing: no state is kept."""


@dataclasses.dataclass(frozen=True)
class Extract:
    """An extract that is ready.

    Attributes:
        account_id: The account.
        project_ids: The projects that were requested; none for all of them.
        job_id: Its job.
        exported_at: When it was taken, in the canonical form.
        sizes: Name of a selected table -> bytes of its file, as listed.
    """

    account_id: str
    project_ids: Sequence[str]
    job_id: str
    exported_at: str
    sizes: Mapping[str, int]


@dataclasses.dataclass
class Found:
    """What became of the extracts.

    Attributes:
        extracts: Those that are ready.
        failed: Account -> why it has none.
        code: Exit code, as the tap's: 0, 1 where one failed or is pending, 128 and the signal's
            number where one came.
    """

    extracts: list[Extract] = dataclasses.field(default_factory=list)
    failed: dict[str, str] = dataclasses.field(default_factory=dict)
    code: int = 0


def wait_for_extracts(
    config: Mapping[str, Any], selected: Sequence[Selected], streams: Iterable[str], clock: Clock
) -> Found:
    """Have the extracts made that some snapshots need, and wait for them.

    Args:
        config: The settings as they were given.
        selected: The snapshots.
        streams: Names of all streams of the catalog.
        clock: Tells the time and waits.

    Raises:
        TapError: Nothing can be requested at all, such as without credentials.
    """
    session = Session(config, NoOutput(), clock)
    session.selected = lambda: selected
    columns: dict[str, Iterable[str]] = dict.fromkeys(streams, ())
    session.columns = lambda: columns
    session.is_dry_run = True  # nothing is fetched
    signals = Signals(session.stop, session.output.lock, session.abandon)
    signals.begin()
    found = Found()
    try:
        session.run.redaction.guard()
        session.show_progress()
        names: dict[str, list[tuple[str, Load]]] = {}
        for name, load in session.begin().loads():
            names.setdefault(load.spec.key, []).append((name, load))
        for loads in names.values():
            _wait(session, loads, found)
    finally:
        session.end()
    found.code = 1 if found.failed else 0
    if signals.received:
        found.code = 128 + signals.received
    return found


def _wait(session: Session, loads: list[tuple[str, Load]], found: Found) -> None:
    name, load = loads[0]
    account = load.spec.owner
    try:
        finished = session.run.result(name, load)
    except TapError as error:
        if not isinstance(error, Stopped) and str(error) not in found.failed.values():
            logger.error("%s", error)  # noqa: TRY400 - a sentence, without a traceback
        found.failed[account] = str(error)
    else:
        found.extracts.append(_read(finished, load, [name for name, _ in loads]))


def _read(finished: FinishedExport, load: Load, names: Iterable[str]) -> Extract:
    listed = {file.name.lower(): file.size or 0 for file in finished.files}
    return Extract(
        account_id=load.spec.owner,
        project_ids=load.spec.body.get("projectIdList", ()),
        job_id=finished.export_id,
        exported_at=finished.exported_at,
        sizes={name: listed.get(f"{name}.csv", 0) for name in names},
    )
