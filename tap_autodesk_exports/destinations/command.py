"""`autodesk-exports export`: the rows of exports straight into files and databases."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TYPE_CHECKING

import click

from tap_autodesk_exports.autodesk.sources import known
from tap_autodesk_exports.clock import Clock
from tap_autodesk_exports.destinations.address import FORMS, destination_of
from tap_autodesk_exports.destinations.destination import DestinationError
from tap_autodesk_exports.destinations.export import Export, chosen
from tap_autodesk_exports.destinations.layout import STYLES
from tap_autodesk_exports.destinations.plan import planned
from tap_autodesk_exports.destinations.state import KeptState
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.redaction import secrets_of
from tap_autodesk_exports.session import Session
from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.settings.config import config_option, read_config
from tap_autodesk_exports.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from tap_autodesk_exports.destinations.destination import Destination

logger = logging.getLogger("tap-autodesk-exports")


@click.command("export")
@click.argument("patterns", nargs=-1, metavar="[STREAM]...")
@click.option("--to", "address", required=True, metavar="DESTINATION", help=f"Where to: {FORMS}.")
@config_option
@click.option("--dry-run", is_flag=True, help="Say what would be requested and loaded.")
@click.option(
    "--full-refresh", is_flag=True, help="Load all again, and replace what was loaded before."
)
@click.option("--schema", help="Schema of the tables in a database; it is made where missing.")
@click.option(
    "--column-names",
    "style",
    type=click.Choice(list(STYLES)),
    default="catalog",
    show_default=True,
    help="Names of columns in new tables.",
)
@click.pass_context
def command(  # noqa: PLR0913
    context: click.Context,
    *,
    patterns: Sequence[str],
    address: str,
    sources: Sequence[str],
    dry_run: bool,
    full_refresh: bool,
    schema: str | None,
    style: str,
) -> None:
    """Load streams into a file, a folder or a database.

    STREAM is a name or a pattern such as 'insights_*'; without one, the streams are those that the
    tap selects by default. Rows and the state of what was loaded change in one step, so that each
    row is there once, whatever happens. The exit code is 1 if a stream failed or is pending.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    try:
        config = read_config(sources, known)
        streams = chosen(Settings.from_config(config), patterns)
        destination = destination_of(address, schema)
        if destination.holds_one and len(streams) > 1:
            msg = (
                f"{destination.title} holds one stream, and {len(streams)} are selected: name one, "
                "such as insights_users, or export into a folder, x.duckdb or a database."
            )
            raise DestinationError(msg)
        if dry_run:
            state = KeptState(destination.read_state(), _nothing)
            session = Session(config, state, Clock())
            for line in planned(streams, state, session):
                click.echo(line)
            context.exit(0)
        context.exit(_export(config, address, destination, streams, style, full_refresh=full_refresh))
    except TapError as error:
        raise click.ClickException(str(error)) from None


def _nothing(_text: str) -> None:
    """Write no state."""


def _export(
    config: Mapping[str, Any],
    address: str,
    destination: Destination,
    streams: Sequence[Any],
    style: str,
    *,
    full_refresh: bool,
) -> int:
    """Export, and return the exit code."""
    destination.open()
    with contextlib.closing(destination):
        state = KeptState(destination.read_state(), destination.write_state)
        session = Session(config, state, Clock())
        export = Export(streams, destination, state, session, style, full_refresh=full_refresh)
        signals = Signals(session.stop, state.lock, session.abandon)
        signals.begin()
        try:
            # Bad settings fail here, once, and not in every stream.
            run = session.run
            run.redaction.keep(secrets_of(address))
            run.redaction.guard()
            destination.engine = run.engine
            session.show_progress(writes_messages=False)
            export.run()
        finally:
            code = session.close(state.close)
    sys.stderr.flush()
    return 128 + signals.received if signals.received else code
