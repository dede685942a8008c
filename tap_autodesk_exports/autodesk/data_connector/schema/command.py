"""`autodesk-exports schema`: what has changed in the Data Connector's schema."""

from __future__ import annotations

from pathlib import Path

import click

from tap_autodesk_exports.autodesk.data_connector.schema import live
from tap_autodesk_exports.autodesk.data_connector.schema.registry import (
    PUBLISHED,
    as_text,
    bundled,
    differences,
    renewed,
)
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.settings import API_URL


@click.command("schema")
@click.option("--api-url", default=API_URL, show_default=True, help="Host of the APIs.")
@click.option(
    "--write",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the registry with the published tables and columns to this file.",
)
def command(*, api_url: str, file: Path | None) -> None:
    """Compare the schema that comes with this release with the one that Autodesk publishes.

    A line begins with + for what is new, - for what has gone, ~ for a type that changed. No
    sign-in is needed.
    """
    known = bundled()
    api_url = api_url.rstrip("/")
    try:
        groups = {table["service_group"] for table in known.values()}
        new = renewed(known, live.published(api_url, groups))
        documented = live.changes(api_url, PUBLISHED)
    except TapError as error:
        raise click.ClickException(str(error)) from None
    lines = list(differences(known, new))
    for line in lines:
        click.echo(line)
    for day, change in documented:
        where = ".".join(
            str(change[part]) for part in ("service_group", "table", "column") if change.get(part)
        )
        notes = change.get("notes") or ""
        click.echo(f"! {day} {change.get('change_type')} {where}: {notes}".rstrip(": "))
    click.echo(
        f"{len(lines)} differences from the bundled schema of {PUBLISHED}, {len(documented)} "
        "documented changes since."
    )
    if lines:
        click.echo(
            "Set 'data_connector_schema: live' and refresh the catalog (meltano run "
            "--refresh-catalog …, or tap-autodesk-exports --discover) to have them as columns."
        )
    if file:
        try:
            file.write_text(as_text(new), encoding="utf-8")
        except OSError as error:
            msg = f"The file {file} cannot be written ({error.strerror}): name another one."
            raise click.ClickException(msg) from None
        click.echo(f"Wrote {len(new)} tables to {file}.")
