"""`autodesk-exports export`: the rows of exports straight into files and databases."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import click

from tap_autodesk_exports.autodesk.sources import known
from tap_autodesk_exports.clock import Clock
from tap_autodesk_exports.destinations import process
from tap_autodesk_exports.destinations.address import FORMS
from tap_autodesk_exports.destinations.layout import STYLES
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.settings.config import config_option, read_config

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    help="Names of columns; a column that is there keeps its name.",
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
        order = process.Order(config, address, patterns, schema, style, full_refresh)
        if dry_run:
            for line in process.plan(order, Clock()):
                click.echo(line)
            return
        code = process.export(order, Clock())
    except TapError as error:
        raise click.ClickException(str(error)) from None
    context.exit(code)
