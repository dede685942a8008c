"""An export from its start to its exit code."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.destinations.address import destination_of
from tap_autodesk_exports.destinations.destination import DestinationError
from tap_autodesk_exports.destinations.export import Export, all_streams, chosen, columns_of
from tap_autodesk_exports.destinations.plan import planned
from tap_autodesk_exports.destinations.state import KeptState
from tap_autodesk_exports.redaction import secrets_of
from tap_autodesk_exports.session import Session
from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.destinations.destination import Destination
    from tap_autodesk_exports.loading.dataset import Dataset
    from tap_autodesk_exports.loading.listing import Listing


logger = logging.getLogger("tap-autodesk-exports")


@dataclasses.dataclass(frozen=True)
class Order:
    """What somebody wants.

    Attributes:
        config: The settings as they were given.
        address: Where to.
        patterns: Names and patterns of streams; empty: the default ones.
        schema: Schema of the tables in a database.
        style: How columns are named.
        full_refresh: Whether all is loaded again.
    """

    config: Mapping[str, Any]
    address: str
    patterns: Sequence[str] = ()
    schema: str | None = None
    style: str = "catalog"
    full_refresh: bool = False

    def read(self) -> tuple[list[Dataset | Listing], list[Dataset | Listing], Destination]:
        """Return all streams, those that are wanted, and the destination with room for them.

        Raises:
            TapError: There are no such streams, or no such destination.
        """
        known = all_streams(Settings.from_config(self.config))
        streams = chosen(known, self.patterns)
        destination = destination_of(self.address, self.schema)
        if destination.holds_one and len(streams) > 1:
            msg = (
                f"{self.address} holds one stream, and {len(streams)} are selected: name one, such "
                "as insights_users, or export into a folder, x.duckdb or a database."
            )
            raise DestinationError(msg)
        return known, streams, destination


def plan(order: Order, clock: Clock) -> Iterator[str]:
    """Yield what an export would do, in lines; nothing is requested, and nothing is written.

    Raises:
        TapError: It could not begin.
    """
    known, streams, destination = order.read()
    state = KeptState(lambda _: None)
    state.read(destination.read_state())
    session = Session(order.config, state, clock)
    session.columns = lambda: columns_of(known)
    yield from planned(streams, state, session)


def export(order: Order, clock: Clock, *, is_program: bool = True) -> int:
    """Export.

    Args:
        order: What is wanted.
        clock: Tells the time and waits.
        is_program: Whether signals end it, and what it does is shown.

    Returns:
        The exit code: 0, 1 where a stream failed or is pending, 128 and the signal's number where
        one came.

    Raises:
        TapError: It could not begin.
    """
    known, streams, destination = order.read()
    state = KeptState(destination.write_state)
    session = Session(order.config, state, clock)
    session.columns = lambda: columns_of(known)
    signals = Signals(session.stop, state.lock, session.abandon)
    if is_program:
        signals.begin()  # before there is any thread, such as of a database
    failures: list[DestinationError] = []
    destination.open()
    with contextlib.closing(destination):
        state.read(destination.read_state())
        exporting = Export(streams, destination, state, session, order)
        try:
            # Bad settings fail here, once, and not in every stream.
            run = session.run
            run.redaction.keep(secrets_of(order.address))
            if is_program:
                run.redaction.guard()
                session.show_progress(writes_messages=False)
            destination.engine = run.engine
            exporting.run()
        finally:
            code = session.close(lambda: _close(state, failures))
    if signals.received:
        return 128 + signals.received
    return 1 if failures else code


def _close(state: KeptState, failures: list[DestinationError]) -> None:
    """Write the last state; a destination that is gone must not hide what was reported before."""
    try:
        state.close()
    except DestinationError as error:
        logger.error("The last state could not be written. %s", error)  # noqa: TRY400
        failures.append(error)
