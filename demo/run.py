# ruff: noqa: INP001, T201, S603 - a script
"""`make demo`: load all three APIs from the sandbox into DuckDB, compare what arrived, and draw it.

A real `meltano run tap-autodesk-exports target-duckdb`, with the sandbox in Autodesk's place. What
the sandbox says that it served is held against what stands in the warehouse, stream by stream. Then
`meltano run dbt-duckdb:build dbt-duckdb:report` makes a page of pictures of it.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from served import Served, by_stream

from tap_autodesk_exports.settings.config import environment_variables

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
START_SECONDS = 30
BEGINNING = re.compile(r"Beginning sync of '(\w+)'")
END = re.compile(r"\d+ loaded, \d+ unchanged, .* \d+ rows\.")


def main() -> int:
    """Run the demo; return 0 if the warehouse holds exactly what was served."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "output" / "demo.duckdb")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies people and rows")
    arguments = parser.parse_args()
    database: Path = arguments.output.resolve()
    database.parent.mkdir(parents=True, exist_ok=True)
    database.unlink(missing_ok=True)

    begin = time.monotonic()
    with sandbox(arguments.scale) as ready:
        print(f"The sandbox stands in for Autodesk at {ready['url']}.")
        print("$ meltano run tap-autodesk-exports target-duckdb", flush=True)
        seconds = load(ready["settings"], database)
        served = by_stream(ready["url"], ready["settings"]["access_token"])
    loaded = rows_loaded(database)
    differences = report(served, loaded, seconds)

    total = sum(loaded.values())
    print(f"\n{len(loaded)} streams, {total} rows, {time.monotonic() - begin:.0f} seconds.")
    if differences:
        print(f"Served and loaded differ in: {', '.join(differences)}.")
        return 1
    print("The warehouse holds every row that was served. It is there to be queried:\n")
    query = "SELECT offering_name, count(*) FROM autodesk.insights_usage GROUP BY 1 ORDER BY 2 DESC"
    code = f"import duckdb; db = duckdb.connect('{shown(database)}'); db.sql('{query}').show()"
    print(f'  .venv/bin/python -c "{code}"')
    print("\n$ meltano run dbt-duckdb:build dbt-duckdb:report", flush=True)
    page = database.with_suffix(".html")
    print(answer(database, page))
    print(
        f"{time.monotonic() - begin:.0f} seconds in all. The page of pictures:\n\n  {shown(page)}"
    )
    return 0


def shown(path: Path) -> Path:
    """Return a path as a person in the present folder would write it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def answer(database: Path, page: Path) -> str:
    """Build and test the marts and write the page; return what dbt counts at its end."""
    done = subprocess.run(
        [str(BIN / "meltano"), "run", "--no-install", "dbt-duckdb:build", "dbt-duckdb:report"],
        cwd=ROOT,
        env={**os.environ, "DBT_DUCKDB_PATH": str(database), "DBT_DUCKDB_REPORT_PATH": str(page)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    log = done.stdout + done.stderr
    counted = re.search(r"PASS=\d+ .*TOTAL=\d+", log)
    if done.returncode or not counted:
        sys.exit(f"{log[-4000:]}\nThe marts or the page could not be made: the log is above.")
    return f"dbt: {counted[0]}"


@contextlib.contextmanager
def sandbox(scale: float) -> Iterator[dict[str, Any]]:
    """Run `autodesk-exports sandbox` on a free port; give its URL and the tap's settings."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        ready, log = Path(folder, "ready.json"), Path(folder, "log")
        command = [str(BIN / "autodesk-exports"), "sandbox", "--port=0", "--job-seconds=2"]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, f"--scale={scale}", f"--ready-file={ready}"],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            deadline = time.monotonic() + START_SECONDS
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"The sandbox did not start:\n{log.read_text(encoding='utf-8')}")
                time.sleep(0.05)
            yield json.loads(ready.read_text(encoding="utf-8"))
        finally:
            process.terminate()
            process.wait()


def load(settings: dict[str, Any], database: Path) -> dict[str, float]:
    """Run Meltano; return the seconds that each stream took, by the tap's log."""
    command = [
        "--log-format=json",
        "run",
        "--no-install",
        "--full-refresh",
        "--state-id-suffix=demo",
    ]
    begins: list[tuple[str, dt.datetime]] = []
    end: dt.datetime | None = None
    last_lines: list[str] = []
    process = subprocess.Popen(
        [str(BIN / "meltano"), *command, "tap-autodesk-exports", "target-duckdb"],
        cwd=ROOT,
        env={**os.environ, **environment_variables(settings), "TARGET_DUCKDB_PATH": str(database)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    for line in process.stderr or ():
        entry = json.loads(line) if line.startswith("{") else {"event": line.strip()}
        last_lines = [*last_lines[-29:], str(entry.get("event"))]
        if found := BEGINNING.search(last_lines[-1]):
            begins.append((found[1], dt.datetime.fromisoformat(entry["timestamp"])))
            _progress(f"{len(begins)} streams, now {found[1]}")
        elif END.match(last_lines[-1]):
            end = dt.datetime.fromisoformat(entry["timestamp"])
            _progress("all read, now the loader's last tables")
    _progress("")
    if process.wait():
        sys.exit("\n".join([*last_lines, "meltano run has failed: its last lines stand above."]))
    ends = [*(at for _, at in begins[1:]), end or begins[-1][1]]
    return {name: (end - at).total_seconds() for (name, at), end in zip(begins, ends, strict=True)}


def _progress(text: str) -> None:
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end="", flush=True)


def rows_loaded(database: Path) -> dict[str, int]:
    """Count the rows of every table in the warehouse."""
    with duckdb.connect(str(database), read_only=True) as warehouse:
        tables = warehouse.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'autodesk' ORDER BY 1"
        ).fetchall()
        return {
            table: _only(warehouse.execute(f'SELECT count(*) FROM autodesk."{table}"').fetchone())  # noqa: S608
            for (table,) in tables
        }


def _only(row: tuple[int, ...] | None) -> int:
    return row[0] if row else 0


def report(
    served: dict[str, Served], loaded: dict[str, int], seconds: dict[str, float]
) -> list[str]:
    """Print a line for each stream; return those whose rows differ."""
    names = sorted({*served, *loaded, *seconds})
    width = max(map(len, names), default=0)
    print(f"{'stream':<{width}}  {'served':>8}  {'loaded':>8}  {'seconds':>7}")
    differences = []
    for name in names:
        found, right = served.get(name), loaded.get(name)
        is_same = found is right if found is None or right is None else found.agrees(right)
        left = right if is_same else found and found.rows
        mark = "" if is_same else "  <- differs"
        differences += [] if is_same else [name]
        columns = [f"{'-' if count is None else count:>8}" for count in (left, right)]
        print(f"{name:<{width}}  {'  '.join(columns)}  {seconds.get(name, 0):>7.1f}{mark}")
    return differences


if __name__ == "__main__":
    raise SystemExit(main())
