"""`autodesk-exports doctor`: why a run would fail, in words."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import click

from tap_autodesk_exports.autodesk.sources import known
from tap_autodesk_exports.clock import Clock
from tap_autodesk_exports.doctor.examination import examine
from tap_autodesk_exports.doctor.findings import as_json, as_table
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.sandbox.launch import launch
from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.settings.config import config_option, read_config

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@click.command("doctor")
@config_option
@click.option("--json", "machine", is_flag=True, help="Print JSON.")
@click.pass_context
def command(context: click.Context, sources: Sequence[str], *, machine: bool) -> None:
    """Try each step of a run, and say what fails and why.

    The exit code is 1 if an API of the settings would fail.
    """
    try:
        with _settings(sources) as settings:
            findings = list(examine(settings, Clock()))
    except TapError as error:
        raise click.ClickException(str(error)) from None
    report = as_json(findings)
    click.echo(json.dumps(report, indent=2) if machine else as_table(findings))
    context.exit(0 if report["works"] else 1)


@contextlib.contextmanager
def _settings(sources: Sequence[str]) -> Iterator[Settings]:
    """Yield the settings; with `sandbox`, those of a sandbox that runs meanwhile."""
    config = read_config(sources, known)
    settings = Settings.from_config(config)
    if not settings.sandbox:
        yield settings
        return
    sandbox = launch()
    try:
        yield Settings.from_config({**config, **sandbox.settings()})
    finally:
        sandbox.stop()
