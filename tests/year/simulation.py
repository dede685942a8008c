"""A year of scheduled runs on the sandbox's time, loaded into PostgreSQL by target-postgres.

Every run is a run of the tap from its settings, its catalog and the state of the run before; what
it writes goes to the target's standard input. Time is the sandbox's: a test sets it, and waiting
moves it on.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import io
import json
import subprocess
from typing import IO, TYPE_CHECKING, Any, Self

from support import exported, in_process
from support.processes import ROOT, clean_environment
from support.sandbox_client import Client
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.sandbox.data.world import PRODUCTS

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from support.processes import Postgres, TapRun
    from tap_autodesk_exports.sandbox import Sandbox

BEGIN = dt.datetime(2025, 3, 3, 5, tzinfo=dt.UTC)
LOOKBACK = dt.timedelta(days=60)
"""Tokens are restated up to 25 days after they come, and they come up to 30 days late."""
DAY = dt.timedelta(days=1)
STREAMS = (
    "insights_usage",
    "insights_users",
    "tokenflex_usage",
    "tokenflex_desktop_sessions",
    "tokenflex_manual_usage",
    "activities_admin_activities",
    "activities_issues_activities",
    "cdcissues_issues",
    "issues_issues",
    "issues_comments",
    "rfis_rfi_assignees",
)
GROUPS = {
    "data_connector_service_groups": ["activities", "cdcissues", "issues", "rfis"],
}
DATES = {
    "insights_usage": "day_used",
    "tokenflex_usage": "usageDate",
    "tokenflex_desktop_sessions": "usageDate",
    "activities_admin_activities": "created_at",
    "activities_issues_activities": "created_at",
}
"""Dated streams -> the column by which their rows must lie within the look-back."""
TARGET_RUNS = 30
"""Runs that one process of the target loads."""
NEW_COLUMN = "severity_of_tomorrow"
LATE = 20.0
"""Seconds until a new export appears in the lists, in some of the runs."""
LABELS = frozenset(
    {"team_alias", "offering_name", "product_name", "group", "productName", "customField2"}
)
"""Columns of names that change: rows before the look-back keep the old ones."""


class Target:
    """target-postgres, as its own process.

    Args:
        folder: For its settings and its log.
        postgres: Where it loads to.
        schema: The schema that it loads into.
    """

    def __init__(self, folder: Path, postgres: Postgres, schema: str) -> None:
        program = ROOT / ".meltano/loaders/target-postgres/venv/bin/target-postgres"
        config = {
            "sqlalchemy_url": postgres.sqlalchemy_url,
            "default_target_schema": schema,
            "activate_version": True,
            "hard_delete": True,
            "use_copy": False,
        }
        (folder / "target.json").write_text(json.dumps(config))
        self._log = (folder / "target.log").open("w+b")
        self._process = subprocess.Popen(
            [str(program), "--config", str(folder / "target.json")],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            env=clean_environment(),
        )

    @property
    def input(self) -> IO[bytes]:
        """What it reads."""
        assert self._process.stdin
        return self._process.stdin

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.input.close()
        code = self._process.wait()
        with self._log:
            self._log.seek(0)
            assert code == 0 or error, self._log.read()[-3000:].decode()


class Year:
    """The runs.

    Args:
        server: The sandbox; its clock is set for every run.
        folder: For files.
        postgres: The warehouse.
        runs: How many runs.
        step: Time from one to the next.
        backfill: How far the first run reads back.

    Attributes:
        contract: The active contract; another one ended shortly before the first run.
        state: The state after the last run.
        stale: Rows of dated streams that came in spite of lying outside of the look-back.
        codes: Exit codes.
        sent: Rows that were sent by each run.
    """

    schema = "year"

    def __init__(  # noqa: PLR0913
        self,
        server: Sandbox,
        folder: Path,
        postgres: Postgres,
        *,
        runs: int,
        step: dt.timedelta,
        backfill: dt.timedelta,
    ) -> None:
        self.server = server
        self.folder = folder
        self.postgres = postgres
        self.runs = runs
        self.step = step
        self.start = (BEGIN - backfill).replace(hour=0)
        server.clock.set(BEGIN)
        self.contract = Client(server).contract()
        self.state: dict[str, Any] = {}
        self.stale: list[tuple[int, str, str]] = []
        self.codes: list[int] = []
        self.sent: list[int] = []
        self.renaming, self.late, self.legacy = 1, range(2, max(3, runs // 8)), runs // 3
        self.outage = range(runs * 2 // 5, runs * 2 // 5 + 3)
        self.change, self.refresh = runs // 2 + 2, runs * 3 // 4

    def config(self, number: int) -> dict[str, Any]:
        """Return the settings of a run; the catalog is refreshed some time after the change."""
        return {
            "start_date": f"{self.start:%Y-%m-%d}",
            # Days to come, which hold nothing yet.
            "end_date": f"{BEGIN + number * self.step + 30 * DAY:%Y-%m-%d}",
            "insights_export_scope": "all_teams",
            "tokenflex_contract_numbers": [self.contract],
            "lookback_days": LOOKBACK.days,
            # A schedule of 24 hours must not find yesterday's extract just young enough.
            "data_connector_max_age_hours": 20,
            "data_connector_schema": "live" if number >= self.refresh else "bundled",
            "emit_activate_version_messages": True,
        }

    def live(self) -> None:
        """Do all runs."""
        for first in range(0, self.runs, TARGET_RUNS):
            with Target(self.folder, self.postgres, self.schema) as target:
                for number in range(first, min(first + TARGET_RUNS, self.runs)):
                    self._run(number, target.input)

    def _run(self, number: int, target: IO[bytes]) -> None:
        self.server.clock.set(BEGIN + number * self.step)
        self.server.faults.clear()
        if number == self.change:
            self._change_schema()
        if number == self.renaming:
            self._rename()
        for part in (self.server.insights, self.server.tokenflex, self.server.data_connector):
            part.listed_after = LATE if number in self.late else 0.0
        if number == self.legacy:
            self._add_legacy_extract()
        if number in self.outage:
            self.server.faults.add_all([{"effect": "status", "status": 503, "times": None}])
        self._load(number, {**self.server.settings(), **self.config(number)}, target)

    def _load(self, number: int, config: dict[str, Any], target: IO[bytes]) -> None:
        if number in {0, self.refresh}:
            self.catalog = in_process.catalog({**config, **GROUPS}, *STREAMS)
        run = in_process.run(
            self.server,
            config | GROUPS,
            state=self.state,
            sink=target,
            found=json.loads(json.dumps(self.catalog)),
        )
        self.codes.append(run.code)
        self.sent.append(sum(len(run.records(stream)) for stream in STREAMS))
        self._check_lookback(number, run)
        self.state = run.state

    def _change_schema(self) -> None:
        """A new column comes overnight, and one changes its type."""
        tables = dict(self.server.data_connector.registry)
        table = tables["issues_issues"]
        columns = {**table.columns, NEW_COLUMN: "string"}
        tables["issues_issues"] = dataclasses.replace(table, columns=columns)
        self.server.data_connector.change_schema(tables)

    def _rename(self) -> None:
        """Teams, products and groups get other names; what they are stays what it is."""
        world = self.server.data_connector.tables[self.server.account_id].world
        self.server.switch(
            {
                "names": {
                    "teams": {team.id: f"{team.alias}, renamed" for team in world.teams},
                    "offerings": {p.offering: f"{p.offering}, renamed" for p in PRODUCTS},
                    "products": {p.name: f"{p.name}, renamed" for p in PRODUCTS},
                    "groups": {p.group: f"{p.group}, renamed" for p in world.people},
                }
            }
        )

    def _add_legacy_extract(self) -> None:
        """Somebody makes an extract of one project in the product, shortly before the run."""
        world = self.server.data_connector.tables[self.server.account_id].world
        self.server.data_connector.add_extract(
            {"projectId": world.projects[0].id}, created=self.server.clock.now() - DAY / 24
        )

    def _check_lookback(self, number: int, run: TapRun) -> None:
        for stream, column in DATES.items():
            found = self.state.get("bookmarks", {}).get(stream, {}).get("partitions", [])
            bookmarks = [
                p["replication_key_value"] for p in found if p.get("replication_key_value")
            ]
            if not bookmarks:
                continue
            reach = LOOKBACK if stream.startswith(("insights", "tokenflex")) else DAY
            first = (dt.datetime.fromisoformat(min(bookmarks)) - reach).date().isoformat()
            self.stale += [
                (number, stream, row[column])
                for row in run.records(stream)
                if row[column][:10] < first
            ]

    def most_jobs_in_a_day(self) -> int:
        """Return the most Data Connector jobs that were asked for within 24 hours."""
        days = collections.Counter(
            export.created_at.date()
            for export in self.server.exports
            if export.api == "data_connector"
        )
        return max(days.values())


class YearOfExports(Year):
    """The same year, loaded by `autodesk-exports export`: no target, and no state but its own."""

    schema = "year of exports"

    def live(self) -> None:
        """Do all runs."""
        for number in range(self.runs):
            self._run(number, io.BytesIO())

    def _load(self, number: int, config: dict[str, Any], target: IO[bytes]) -> None:  # noqa: ARG002
        to = exported.address(self.postgres)
        try:
            run = exported.export(
                self.server, to, *STREAMS, config={**config, **GROUPS}, schema=self.schema
            )
        except TapError:  # the published schema could not be read
            self.codes.append(1)
        else:
            self.codes.append(run.code)
