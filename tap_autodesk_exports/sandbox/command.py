"""`autodesk-exports sandbox`: the sandbox as a program."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tap_autodesk_exports import signals

if TYPE_CHECKING:
    from tap_autodesk_exports.sandbox.server import Sandbox

DEFAULT_PORT = 8421
RENEWAL_SECONDS = 600
"""How often the access token in the printed settings, which lasts an hour, is renewed."""


@click.command("sandbox")
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="Port; 0 for a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback address.")
@click.option("--seed", default=1, show_default=True, help="Determines the made-up data.")
@click.option("--scale", default=1.0, show_default=True, help="Multiplies people and rows.")
@click.option("--accounts", default=1, show_default=True, help="Number of Data Connector accounts.")
@click.option(
    "--extract",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of real CSV files to serve as the Data Connector extract.",
)
@click.option(
    "--job-seconds", default=0.5, show_default=True, help="How long an export takes, in seconds."
)
@click.option(
    "--faults",
    "scenario",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='JSON file with an array of faults, or {"faults": […], "behaviour": {…}}.',
)
@click.option(
    "--ready-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="JSON file to write with url and settings, once it listens.",
)
def command(  # noqa: PLR0913
    *,
    port: int,
    host: str,
    seed: int,
    scale: float,
    accounts: int,
    extract: Path | None,
    job_seconds: float,
    scenario: Path | None,
    ready_file: Path | None,
) -> None:
    """Serve made-up Autodesk APIs on this machine, for trials and tests, until stopped."""
    try:
        from tap_autodesk_exports.sandbox import server  # noqa: PLC0415
    except ImportError as error:
        msg = (
            f"The sandbox needs the package {error.name!r}, which is not installed: "
            "install tap-autodesk-exports[sandbox]."
        )
        raise click.ClickException(msg) from None
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    sandbox = server.Sandbox(
        seed=seed, scale=scale, accounts=accounts, extract=extract, job_seconds=job_seconds
    )
    try:
        if scenario is not None:
            _switch_on(sandbox, scenario)
        try:
            sandbox.start(port, host)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--host") from None
        settings = sandbox.settings()
        click.echo(f"The sandbox listens on {sandbox.url} until it is stopped with Ctrl-C.")
        click.echo("Settings that make the tap use it:")
        click.echo(json.dumps(settings, indent=2))
        if ready_file is not None:
            _write(ready_file, {"url": sandbox.url, "settings": settings})
        with signals.heard():
            while not stopped.wait(RENEWAL_SECONDS):
                sandbox.settings()
    finally:
        sandbox.stop()


def _write(ready_file: Path, content: Any) -> None:  # noqa: ANN401
    """Write the file that says that all is ready.

    It is renamed into place, so that a waiting process never reads half of it.
    """
    partial = ready_file.with_name(f"{ready_file.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        with open(partial, "x", opener=_private, encoding="utf-8") as file:
            json.dump(content, file)
        partial.replace(ready_file)
    except OSError as error:
        msg = f"The file {ready_file} cannot be written ({error.strerror}): name another one."
        raise click.ClickException(msg) from None


def _private(path: str, flags: int) -> int:
    """Open a new file for its owner only: the settings hold the token."""
    return os.open(path, flags, 0o600)


def _switch_on(sandbox: Sandbox, scenario: Path) -> None:
    try:
        given = json.loads(scenario.read_text(encoding="utf-8"))
        found = given if isinstance(given, dict) else {"faults": given}
        sandbox.switch(found.get("behaviour", {}))
        sandbox.faults.add_all(found.get("faults", []))
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        msg = f"The faults in {scenario} cannot be read: {error}"
        raise click.ClickException(msg) from None
