"""`autodesk-exports`: the commands beside the tap.

Each command is in the room that it belongs to and is loaded only when it is called.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click
from typing_extensions import override

from tap_autodesk_exports.stdout import OutputFailed, writable

COMMANDS = {
    "doctor": "tap_autodesk_exports.doctor.command",
    "export": "tap_autodesk_exports.destinations.command",
    "login": "tap_autodesk_exports.signin.login",
    "plan": "tap_autodesk_exports.plan.command",
    "plugin": "tap_autodesk_exports.plugin.command",
    "report": "tap_autodesk_exports.report_page.command",
    "sandbox": "tap_autodesk_exports.sandbox.command",
    "shapes": "tap_autodesk_exports.shapes.command",
    "schema": "tap_autodesk_exports.autodesk.data_connector.schema.command",
}
"""Name of a command -> the module that holds it as `command`."""


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for, to start fast."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
        return command

    @override
    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            with writable():
                return super().main(*args, **kwargs)
        except OutputFailed as error:
            click.echo(f"Error: {error}", err=True)
            sys.exit(1)


@click.command(cls=LazyGroup)
@click.version_option(package_name="tap-autodesk-exports")
def main() -> None:
    """Companion of tap-autodesk-exports."""
