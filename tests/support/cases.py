"""The three APIs as the fault suite uses them: which streams, and where the steps of a life are."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import subprocess
from typing import TYPE_CHECKING, Any

from support import processes
from support.oauth_server import SECRETS
from tap_autodesk_exports.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from support.processes import TapRun
    from support.tap_process import Message, TapProcess, TapServer

OF_THE_EXPORT = {"_export_id", "_exported_at"}
"""Columns that differ from one export to the next."""
NOON = dt.datetime.combine(dt.datetime.now(dt.UTC), dt.time(12), dt.UTC) - dt.timedelta(days=1)
"""Where the server's clock begins: all runs see the same day, also at midnight."""
_FIRST = (NOON.replace(day=1) - dt.timedelta(days=70)).replace(day=1).date()
PERIOD = {"start_date": f"{_FIRST}", "end_date": f"{_FIRST + dt.timedelta(days=21)}"}
"""Three weeks of a past month, so that every run of a test sees the same usage."""


@dataclasses.dataclass(frozen=True)
class Case:
    """An API with two streams.

    Attributes:
        api: Name of the API.
        streams: Two streams, in the order in which they are synced.
        config: Settings besides the sandbox's own.
        list: Endpoint of the list in which an export is searched for.
        look: Endpoint that tells where an export stands.
        link: Endpoint that gives a link, and which of the requests to it does so.
        snapshot: The stream that every run asks anew for, once the last one was loaded.
    """

    api: str
    streams: tuple[str, str]
    config: Mapping[str, Any]
    list: str
    look: str
    link: tuple[str, int]
    snapshot: str = ""

    def __str__(self) -> str:
        return self.api


CASES = (
    Case(
        "insights",
        ("insights_usage", "insights_users"),
        {"apis": ["insights"], "insights_export_scope": "all_teams"},
        list="list",
        look="export",
        link=("export", 3),  # after a look at each of the two exports
        snapshot="insights_users",
    ),
    Case(
        "tokenflex",
        ("tokenflex_desktop_sessions", "tokenflex_usage"),
        {"apis": ["tokenflex"]},
        list="list",
        look="export",
        link=("refresh_url", 1),
    ),
    Case(
        "data_connector",
        ("admin_projects", "admin_users"),
        {
            "apis": ["data_connector"],
            "data_connector_service_groups": ["admin"],
            "data_connector_extract": "new",
        },
        list="requests",
        look="jobs",
        link=("link", 1),
    ),
)


@dataclasses.dataclass(frozen=True)
class Clean:
    """A run without faults: what it loaded, and how many exports it asked for."""

    tables: Mapping[str, Mapping[Any, Any]]
    asked: int
    header: int
    """Bytes of the longer of the files' headers: which file is fetched first depends on the run."""


class Bench:
    """One API, a sandbox of its own, and the tap in front of it, run after run.

    Attributes:
        job_seconds: How long exports take that begin from now on.
    """

    def __init__(self, case: Case, server: TapServer, folder: Path) -> None:
        self.case = case
        self.job_seconds = 0.0
        self.sandbox = Sandbox(scale=0.1, job_seconds=lambda: self.job_seconds, secrets=SECRETS)
        self.sandbox.clock.set(NOON)
        self.folder = folder
        self.tables: dict[str, dict[Any, Any]] = {name: {} for name in case.streams}
        self.state: Mapping[str, Any] | None = None
        self.config: dict[str, Any] = {}
        self._asked_anew = 0
        self._begun: list[TapProcess] = []
        self._server = server

    def fault(self, effect: str, **where: Any) -> Any:
        return self.sandbox.faults.add(effect, api=self.case.api, **where)

    def begin(self, until: Callable[[Message], bool] | None = None, **order: Any) -> TapProcess:
        bookmarks = self.state["bookmarks"] if self.state else {}
        self._asked_anew += "export_id" in bookmarks.get(self.case.snapshot, {})
        config = {
            **self.sandbox.settings(),
            **PERIOD,
            "lookback_days": 0,  # what is loaded is not asked for again on purpose
            **self.case.config,
            **self.config,
        }
        tap = self._server.begin(
            self.folder,
            config,
            state=self.state,
            catalog=catalog(self.case, self.folder),
            until=until,
            **order,
        )
        self._begun.append(tap)
        return tap

    def close(self) -> None:
        """End the processes that a test left when it failed."""
        for tap in self._begun:
            tap.close()

    def run(self, **order: Any) -> TapRun:
        """Run the tap to its end, and take what it says."""
        return self.take(self.begin(**order).end())

    def take(self, run: TapRun) -> TapRun:
        """Be the target: upsert the rows, and keep the last state."""
        for name in self.case.streams:
            if run.of_type("SCHEMA", name):
                for key, row in run.table(name).items():
                    self.tables[name][key] = {
                        column: value
                        for column, value in row.items()
                        if column not in OF_THE_EXPORT
                    }
        self.state = run.state or self.state
        return run

    @property
    def temporary(self) -> list[str]:
        """What is left in the folder for temporary files."""
        found = []
        for path in (self.folder / "tmp").iterdir():
            found += path.glob("run-*") if path.name.startswith("tap-autodesk-exports.") else [path]
        return [path.name for path in found]

    def assert_whole(self, clean: Clean, *, extra: int = 0) -> None:
        """Check that all rows are there, and that only `extra` exports were asked for again."""
        assert self.tables == clean.tables
        asked = [(export.owner, export.body) for export in self.sandbox.exports]
        assert len(asked) == clean.asked + self._asked_anew + extra, asked
        assert self.state is not None
        assert self.state["exports"] == []
        assert self.temporary == []


_catalogs: dict[tuple[str, ...], Any] = {}


def catalog(case: Case, folder: Path) -> dict[str, Any]:
    """Return the catalog with the case's two streams selected."""
    if case.streams not in _catalogs:
        config = folder / "discovery.json"
        config.write_text(json.dumps({"access_token": "none", **case.config}), encoding="utf-8")
        found = json.loads(
            subprocess.check_output(
                [
                    str(processes.BIN / "tap-autodesk-exports"),
                    "--config",
                    str(config),
                    "--discover",
                ],
                stderr=subprocess.PIPE,
            )
        )
        streams = {stream["tap_stream_id"]: stream for stream in found["streams"]}
        chosen = [streams[name] for name in case.streams]
        for stream in chosen:
            for entry in stream["metadata"]:
                entry["metadata"]["selected"] = True
        _catalogs[case.streams] = {"streams": chosen}
    found_before: dict[str, Any] = _catalogs[case.streams]
    return found_before
