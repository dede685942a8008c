"""`autodesk-exports plugin`: prints definitions for `meltano add NAME --from-ref FILE`."""

from __future__ import annotations

import click

from tap_autodesk_exports.plugin.definition import LOADERS, NAME, as_yaml, definition


@click.command("plugin")
@click.argument("name", type=click.Choice([NAME, *LOADERS]), default=NAME)
def command(name: str) -> None:
    r"""Print the Meltano plugin definition of the tap, or of a loader that loses nothing.

    \b
    autodesk-exports plugin > tap-autodesk-exports.yml
    meltano add tap-autodesk-exports --from-ref tap-autodesk-exports.yml
    """
    click.echo(as_yaml(definition() if name == NAME else LOADERS[name]), nl=False)
