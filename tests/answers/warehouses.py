"""A small company in warehouses: loaded by real loaders, with the marts that dbt builds there."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import json
import subprocess
import tempfile
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb

from support import in_process
from support.exported import export
from support.processes import ROOT, clean_environment
from tap_autodesk_exports.sandbox import Sandbox
from tap_autodesk_exports.sandbox.clock import SandboxClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from support.processes import Postgres

NOW = dt.datetime(2026, 11, 20, 14, tzinfo=dt.UTC)
START = dt.date(2026, 2, 1)
MARTS = (
    "cost_position",
    "idle_seats",
    "issue_backlog",
    "peak_sessions",
    "people",
    "product_versions",
    "rfi_turnaround",
    "seat_or_flex",
    "seat_utilisation",
    "submittal_backlog",
    "token_burndown",
    "token_chargeback",
)
STREAMS = (
    "insights_contexts",
    "insights_subscriptions",
    "insights_users",
    "insights_usage",
    "insights_usage_report",
    "tokenflex_contract_years",
    "tokenflex_enrichments",
    "tokenflex_usage",
    "tokenflex_manual_usage",
    "tokenflex_desktop_sessions",
    "admin_users",
    "admin_projects",
    "admin_project_users",
    "issues_issues",
    "rfis_rfis",
    "rfis_rfi_transitions",
    "submittalsacc_items",
    "submittalsacc_steps",
    "cost_budgets",
    "cost_contracts",
    "cost_change_orders",
)
"""The streams that the package's sources name; a test holds them against those."""
FOLDER = ROOT / ".meltano"

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Dbt:
    """Runs of dbt in one process, and what became of their nodes."""

    folder: Path

    def run(self, target: str, *orders: tuple[Mapping[str, str], Sequence[str]]) -> list[Any]:
        """Run dbt with each of these environments and arguments."""
        common = {
            "DBT_PROJECT_DIR": str(ROOT / "dbt"),
            "DBT_PROFILES_DIR": str(ROOT / "dbt"),
            "DBT_TARGET": target,
            "DBT_TARGET_PATH": str(self.folder / target),
            "DBT_LOG_PATH": str(self.folder / "logs"),
        }
        python = FOLDER / "utilities" / "dbt-duckdb" / "venv" / "bin" / "python"
        assert python.is_file(), "The Meltano plugins are not installed: run `make plugins`."
        results = self.folder / f"{target}.jsonl"
        self.folder.mkdir(exist_ok=True)
        done = subprocess.run(
            [str(python), str(ROOT / "tests" / "answers" / "dbt_runs.py"), str(results)],
            input=json.dumps(
                [
                    {"environment": {**common, **environment}, "arguments": list(arguments)}
                    for environment, arguments in orders
                ]
            ),
            env={**clean_environment(), **common},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        lines = results.read_text(encoding="utf-8").splitlines()
        assert len(lines) == len(orders), done.stdout[-4000:]
        return [json.loads(line) for line in lines]


def company(seed: int = 7, scale: float = 0.3) -> Sandbox:
    """Return a sandbox on a fixed day, not yet started."""
    return Sandbox(seed=seed, scale=scale, job_seconds=0, clock=SandboxClock(NOW))


def messages(sandbox: Sandbox, streams: Iterable[str] = STREAMS, **config: Any) -> bytes:
    """Run the tap, and return what it says to a target."""
    said = io.BytesIO()
    run = in_process.run(sandbox, {"start_date": f"{START}", **config}, *streams, sink=said)
    assert run.code == 0, run.stderr[-4000:]
    return said.getvalue()


def load(said: bytes, target: str, **config: Any) -> None:
    """Have a Singer target load what the tap has said."""
    program = FOLDER / "loaders" / target / "venv" / "bin" / target
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"default_target_schema": "autodesk", **config}, file)
        file.flush()
        done = subprocess.run(
            [str(program), "--config", file.name],
            input=said,
            env=clean_environment(),
            capture_output=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-4000:].decode()


def load_duckdb(said: bytes, folder: Path) -> Path:
    """Load into a DuckDB file of the name that the plan for Meltano has."""
    folder.mkdir(parents=True)
    path = folder / "warehouse.duckdb"
    load(said, "target-duckdb", path=str(path), add_metadata_columns=True)
    return path


def exported(sandbox: Sandbox, folder: Path) -> Path:
    """Export into a DuckDB file, without the tap and without a target."""
    folder.mkdir(parents=True)
    path = folder / "warehouse.duckdb"
    groups = sorted({stream.partition("_")[0] for stream in STREAMS} - {"insights", "tokenflex"})
    config = {"start_date": f"{START}", "data_connector_service_groups": groups}
    run = export(sandbox, path, *STREAMS, config=config, schema="autodesk")
    assert run.code == 0, run.log
    return path


def load_postgres(said: bytes, postgres: Postgres) -> None:
    """Load into PostgreSQL."""
    load(said, "target-postgres", sqlalchemy_url=postgres.sqlalchemy_url)


def only(source: Path, prefixes: Sequence[str], folder: Path) -> Path:
    """Make a warehouse with some of another one's streams."""
    return derived(source, folder, list, prefixes)


def spelt_otherwise(source: Path, folder: Path) -> Path:
    """Make a warehouse in which every name is in capitals, and every value a text."""
    return derived(
        source,
        folder,
        lambda columns: [f'CAST({name} AS VARCHAR) AS {name[:-1].upper()}_"' for name in columns],
    )


def narrow(source: Path, folder: Path) -> Path:
    """Make a warehouse in which of every stream each second column is missing."""
    return derived(source, folder, lambda columns: columns[::2])


def derived(
    source: Path,
    folder: Path,
    select: Callable[[list[str]], list[str]],
    prefixes: Sequence[str] = ("",),
) -> Path:
    """Make a warehouse out of another one's tables and columns."""
    folder.mkdir(parents=True)
    path = folder / source.name
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"ATTACH '{source}' AS other (READ_ONLY)")
        connection.execute("CREATE SCHEMA autodesk")
        tables = connection.execute(
            "SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns()"
            " WHERE database_name = 'other' AND schema_name = 'autodesk' GROUP BY table_name"
        ).fetchall()
        for table, columns in tables:
            if table.startswith(tuple(prefixes)):
                quoted = [f'"{name}"' for name in columns]
                chosen = select(quoted)
                connection.execute(
                    f"CREATE TABLE autodesk.{table} AS FROM other.autodesk.{table} "
                    f"SELECT {', '.join(chosen)}"
                )
    return path


def marts(path: Path) -> dict[str, list[Row]]:
    """Read all marts of a DuckDB warehouse."""
    with duckdb.connect(str(path), read_only=True) as connection:
        return {name: read(connection.execute(f"FROM answers.{name}")) for name in MARTS}


def postgres_marts(postgres: Postgres) -> dict[str, list[Row]]:
    """Read all marts of a PostgreSQL warehouse."""
    with postgres.connect() as connection:
        return {name: read(connection.execute(f"TABLE answers.{name}")) for name in MARTS}


def read(cursor: Any) -> list[Row]:
    """Return the rows of a cursor; numbers as exact ones without zeros at their end."""
    columns = [column[0] for column in cursor.description]
    return [
        {name: plain(value) for name, value in zip(columns, row, strict=True)}
        for row in cursor.fetchall()
    ]


def plain(value: Any) -> Any:
    """Return a number in one form, whatever the store has it in."""
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        number = Decimal(str(value)).normalize()
        return int(number) if number == number.to_integral_value() else float(number)
    return value
