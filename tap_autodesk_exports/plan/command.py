"""`autodesk-exports plan`: what each of many workers loads, as JSON."""

from __future__ import annotations

import csv
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from tap_autodesk_exports.autodesk.data_connector.catalog import TableDataset
from tap_autodesk_exports.autodesk.sources import known
from tap_autodesk_exports.clock import Clock
from tap_autodesk_exports.errors import ConfigurationError, TapError
from tap_autodesk_exports.plan import accounts
from tap_autodesk_exports.plan.catalogs import apply, part_of
from tap_autodesk_exports.plan.extracts import wait_for_extracts
from tap_autodesk_exports.plan.shards import share_out
from tap_autodesk_exports.settings.config import (
    config_option,
    environment_variables,
    read_config,
    read_object,
)
from tap_autodesk_exports.streams.dataset_stream import DatasetStream
from tap_autodesk_exports.streams.selection import Patterns, given_patterns
from tap_autodesk_exports.tap import TapAutodeskExports

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from tap_autodesk_exports.plan.extracts import Extract
    from tap_autodesk_exports.plan.shards import Shard

SELECT = "TAP_AUTODESK_EXPORTS__SELECT"
"""The variable by which Meltano takes a plugin's `select`."""
REST = "rest"
IN_A_RUN = (
    "Setting 'sandbox' starts a sandbox for each process, so that no worker would find the extract "
    "of the plan: start one with `autodesk-exports sandbox`, and use the settings that it prints."
)


@click.command("plan")
@config_option
@click.option("--workers", type=click.IntRange(min=1), help="How many workers.")
@click.option(
    "--catalog",
    "catalog_file",
    metavar="FILE",
    help="Catalog that says what is selected. Default: what Meltano selects, or the tap's default.",
)
@click.option(
    "--catalogs",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a catalog for each shard, and one for the rest, into this folder.",
)
@click.option(
    "--accounts-file",
    "accounts_file",
    type=click.File(encoding="utf-8-sig"),
    help="Account IDs, one a line, or a schedule that was printed before: print a schedule as CSV.",
)
@click.option(
    "--days",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Of a schedule: in how many days each account is loaded once.",
)
@click.pass_context
def command(  # noqa: PLR0913 - one for each option
    context: click.Context,
    sources: Sequence[str],
    *,
    workers: int | None,
    catalog_file: str | None,
    folder: Path | None,
    accounts_file: TextIO | None,
    days: int,
) -> None:
    """Share the extracts of the selected Data Connector snapshots out among workers.

    Requests the extract of each account, resumes it, or uses one that is young enough, waits for
    it, and prints one line of JSON: for each account its job and a shard for each worker, and the
    rest, which one ordinary run loads. The exit code is that of the tap: 1 where an account has no
    extract.

    With --accounts-file, it prints which client ID, which of its ten service accounts and which
    hour each account has, within Autodesk's limits; nothing is requested. An account that has a
    slot already keeps it.
    """
    if (workers is None) == (accounts_file is None):
        msg = "Give either --workers or --accounts-file."
        raise click.UsageError(msg)
    if accounts_file:
        _print_schedule(accounts_file, days)
        return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s | %(levelname)-8s | %(message)s")
    try:
        config = read_config(sources, known)
        if config.get("sandbox"):
            raise ConfigurationError(IN_A_RUN)
        catalog = read_object(catalog_file, "catalog") if catalog_file else None
        shown, code = Plan(config, catalog, workers or 1, folder).make()
    except TapError as error:
        raise click.ClickException(str(error)) from None
    click.echo(json.dumps(shown))
    context.exit(code)


def _print_schedule(file: TextIO, days: int) -> None:
    try:
        found = accounts.schedule(accounts.read(file, days), days)
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    except (ValueError, csv.Error, OSError):
        msg = "The accounts file cannot be read: write it in UTF-8, an account ID on each line."
        raise click.ClickException(msg) from None
    accounts.write(found, sys.stdout)


class Plan:
    """A plan for workers.

    Args:
        config: The settings as they were given.
        catalog: The user's catalog; None for what Meltano selects, or the tap's default.
        workers: How many workers there are.
        folder: Where catalogs are written; None for none.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        catalog: dict[str, Any] | None,
        workers: int,
        folder: Path | None,
    ) -> None:
        self._config = config
        self._workers = workers
        self._folder = folder
        self._patterns = Patterns()
        tap = _tap(config, catalog)
        if catalog is None and (patterns := given_patterns()):
            self._patterns = Patterns(patterns)
            tap = _tap(config, apply(self._patterns, tap.catalog_dict))
        self._tap = tap

    def make(self) -> tuple[dict[str, Any], int]:
        """Wait for the extracts; return the plan as JSON, and the exit code."""
        selected = [name for name, stream in self._tap.streams.items() if stream.selected]
        snapshots = [
            stream.as_selected()
            for stream in self._tap.streams.values()
            if isinstance(stream, DatasetStream)
            and stream.selected
            and isinstance(stream.dataset, TableDataset)
            and not stream.dataset.is_dated
        ]
        names = {each.name for each in snapshots}
        rest = [name for name in selected if name not in names]
        found = wait_for_extracts(self._config, snapshots, self._tap.streams, self.clock)
        return {
            "extracts": [self._extract(each, bool(rest)) for each in found.extracts],
            "rest": self._part(REST, rest, {}) if rest else None,
            "failed": [{"account_id": a, "error": error} for a, error in found.failed.items()],
        }, found.code

    clock = Clock()
    """The time; a test may have another one."""

    def _extract(self, extract: Extract, has_rest: bool) -> dict[str, Any]:  # noqa: FBT001
        return {
            "account_id": extract.account_id,
            "job_id": extract.job_id,
            "exported_at": extract.exported_at,
            "shards": [
                self._shard(extract, shard, has_rest)
                for shard in share_out(extract.job_id, extract.sizes, self._workers)
            ],
        }

    def _shard(self, extract: Extract, shard: Shard, has_rest: bool) -> dict[str, Any]:  # noqa: FBT001
        limit = self._config.get("requests_per_minute") or 60
        settings: dict[str, Any] = {
            "data_connector_account_ids": [extract.account_id],
            "data_connector_job_id": extract.job_id,
            "requests_per_minute": max(1, int(limit) // (self._workers + has_rest)),
        }
        if extract.project_ids:
            settings["data_connector_project_ids"] = list(extract.project_ids)
        tables = [{"name": name, "bytes": size} for name, size in shard.tables.items()]
        return {
            **self._part(shard.shard_id, [*shard.tables], settings),
            "bytes": shard.size,
            "tables": tables,
        }

    def _part(
        self, part_id: str, streams: Collection[str], settings: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return how a part of what is selected is loaded: environment variables, or a catalog."""
        select = {SELECT: json.dumps(self._patterns.of(streams))}
        part: dict[str, Any] = {"id": part_id, "env": environment_variables(settings) | select}
        if self._folder:
            path = self._folder / f"{part_id}.json"
            _write(path, part_of(self._tap.catalog_dict, streams))
            part["catalog"] = str(path)
        return part


def _write(path: Path, catalog: dict[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(catalog, indent=2), encoding="utf-8")
    except OSError as error:
        msg = f"The catalog {path} cannot be written ({error.strerror}): give another folder."
        raise ConfigurationError(msg) from None


def _tap(config: Mapping[str, Any], catalog: dict[str, Any] | None) -> TapAutodeskExports:
    return TapAutodeskExports(config=dict(config), catalog=catalog, validate_config=True)
