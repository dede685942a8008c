"""`autodesk-exports shapes`: a report to attach to a bug report."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tap_autodesk_exports import signals
from tap_autodesk_exports.autodesk.sources import known
from tap_autodesk_exports.clock import Clock
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.sandbox.launch import launch
from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.settings.config import config_option, read_config
from tap_autodesk_exports.shapes.visit import visit

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command("shapes")
@config_option
@click.option(
    "--exports/--no-exports",
    "with_exports",
    default=True,
    show_default=True,
    help="Request a small export of each kind, to look at its file. That costs one of the 24 jobs "
    "a day of the Data Connector, unless an extract is young enough.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=60,
    show_default=True,
    help="How long to wait for an export.",
)
@click.option(
    "--output",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report to this file: JSON where its name ends in .json, else Markdown.",
)
@click.option("--json", "machine", is_flag=True, help="Print JSON.")
@click.pass_context
def command(  # noqa: PLR0913 - one for each option
    context: click.Context,
    sources: Sequence[str],
    *,
    with_exports: bool,
    minutes: float,
    file: Path | None,
    machine: bool,
) -> None:
    """Report what the APIs really answer, in names and kinds, never in values.

    For each endpoint and file: status, content type, names and kinds of fields, headers, sizes.
    What differs from what this release expects comes first. The report holds no value, name or ID
    of yours, so it can be attached to a bug report. The exit code is 1 where something differs or
    could not be looked at.
    """
    try:
        report = _report(sources, with_exports=with_exports, minutes=minutes)
    except TapError as error:
        raise click.ClickException(str(error)) from None
    as_text = json.dumps(report, indent=2) if machine else as_markdown(report)
    if file:
        text = json.dumps(report, indent=2) if file.suffix == ".json" else as_markdown(report)
        try:
            file.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            msg = f"The file {file} cannot be written ({error.strerror}): name another one."
            raise click.ClickException(msg) from None
        click.echo(f"Wrote the report to {file}: {_summary(report)}.")
    else:
        click.echo(as_text)
    context.exit(1 if report["differences"] or report["failures"] else 0)


def _report(sources: Sequence[str], *, with_exports: bool, minutes: float) -> dict[str, Any]:
    config = read_config(sources, known)
    sandbox = launch() if Settings.from_config(config).sandbox else None
    try:
        given = {**config, **sandbox.settings()} if sandbox else config
        settings = Settings.from_config(given)
        with signals.leaving():
            seen = visit(settings, Clock(), with_exports=with_exports, minutes=minutes)
    finally:
        if sandbox:
            sandbox.stop()
    return {"release": importlib.metadata.version("tap-autodesk-exports"), **seen.as_json()}


def _summary(report: dict[str, Any]) -> str:
    return (
        f"{len(report['differences'])} differences, {len(report['failures'])} failures, "
        f"{len(report['endpoints'])} endpoints, {len(report['files'])} files"
    )


def as_markdown(report: dict[str, Any]) -> str:
    """Return the report as Markdown."""
    lines = ["# Shapes", "", f"Release {report['release']}: {_summary(report)}.", ""]
    for title in ("differences", "failures"):
        lines += [f"## {title.title()}", ""]
        lines += [f"- {line}" for line in report[title]] or ["None."]
        lines.append("")
    lines += ["## Endpoints", ""]
    for name, shape in report["endpoints"].items():
        lines += [
            f"### {name}",
            "",
            _answered(shape),
            "",
            *(f"- `{field}`: {', '.join(kinds)}" for field, kinds in shape["wrapper"].items()),
            *(f"- `{field}`: {', '.join(kinds)}" for field, kinds in shape["fields"].items()),
            "",
        ]
    lines += ["## Files", ""]
    for name, file in report["files"].items():
        lines += [
            f"### {name}",
            "",
            _written(file),
            "",
        ]
        for column, kinds in file["columns"].items():
            forms = ", ".join(f"`{form}`" for form in file["forms"].get(column, ()))
            lines.append(
                f"- `{column}`: {', '.join(kinds) or 'no row'}{f' ({forms})' * bool(forms)}"
            )
        lines.append("")
    return "\n".join(lines)


def _answered(shape: dict[str, Any]) -> str:
    statuses = ", ".join(map(str, shape["statuses"]))
    types = ", ".join(shape["content_types"])
    return (
        f"{statuses}; {types}; {shape['entries']} entries; at most {shape['largest_bytes']} bytes"
    )


def _written(file: dict[str, Any]) -> str:
    bom = "BOM" if file["has_bom"] else "no BOM"
    last = "with" if file["ends_with_line_end"] else "without"
    return (
        f"{file['kind']}, {file['size']} bytes, {bom}, line ends {file['line_end']}, {last} a last "
        f"one; {file['rows_seen']} rows seen"
    )
