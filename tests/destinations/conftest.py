"""A table whose source a test rewrites, and every kind of destination that can be run here."""

from __future__ import annotations

import csv
import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from support import exported
from support.exported import Exported, Row, export
from tap_autodesk_exports.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from support.processes import Postgres

STREAM = "cost_main_contract_items"
KINDS = ("csv", "jsonl", "jsonl.gz", "parquet", "folder", "duckdb", "sqlite", "postgres")
SCHEMAS = itertools.count(1)


class Source:
    """A Data Connector that serves what a test has written last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.write([])
        self.sandbox = Sandbox(extract=folder, job_seconds=0)

    def write(self, rows: list[Mapping[str, Any]], stream: str = STREAM) -> None:
        """Serve these rows, as texts; a value that is None is a null cell."""
        names = list(dict.fromkeys(name for row in rows for name in row)) or ["id"]
        with (self.folder / f"{stream}.csv").open("w", encoding="utf-8", newline="") as file:
            out = csv.writer(file, quoting=csv.QUOTE_NOTNULL if HAS_NOTNULL else csv.QUOTE_ALL)
            out.writerow(names)
            out.writerows([[row.get(name) for name in names] for row in rows])

    def config(self, **more: Any) -> dict[str, Any]:
        groups = sorted({path.stem.partition("_")[0] for path in self.folder.glob("*.csv")})
        return {
            "apis": ["data_connector"],
            "data_connector_service_groups": groups,
            "data_connector_max_age_hours": 0,
            **more,
        }


HAS_NOTNULL = hasattr(csv, "QUOTE_NOTNULL")


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    found = Source(tmp_path / "extract")
    with found.sandbox:
        yield found


@dataclasses.dataclass
class Place:
    """A destination, and how it is read by other programs' ways."""

    kind: str
    to: str
    rows: Callable[[], list[Row]]
    wishes: dict[str, Any] = dataclasses.field(default_factory=dict)

    def load(self, source: Source, *patterns: str, **more: Any) -> Exported:
        wishes = {name: more.pop(name) for name in ("style", "full_refresh") if name in more}
        return export(
            source.sandbox,
            self.to,
            *(patterns or (STREAM,)),
            config=source.config(**more),
            **{**self.wishes, **wishes},
        )


def place(  # noqa: PLR0911 - one for each kind
    kind: str, folder: Path, postgres: Postgres, stream: str = STREAM
) -> Place:
    match kind:
        case "postgres":
            schema = f"Place {next(SCHEMAS)}"

            def rows() -> list[Row]:
                with postgres.connect() as connection:
                    return exported.in_postgres(connection, stream, schema)

            return Place(kind, exported.address(postgres), rows, {"schema": schema})
        case "sqlite":
            path = folder / "x.db"
            return Place(kind, f"sqlite:///{path}", lambda: exported.in_sqlite(path, stream))
        case "duckdb":
            path = folder / "x.duckdb"
            return Place(kind, str(path), lambda: exported.in_duckdb(path, stream))
        case "folder":
            path = folder / "all" / stream / f"{stream}.parquet"
            return Place(kind, f"{folder}/all/", lambda: exported.in_parquet(path))
        case "parquet":
            path = folder / "x.parquet"
            return Place(kind, str(path), lambda: exported.in_parquet(path))
        case "csv":
            path = folder / "x.csv"
            return Place(kind, str(path), lambda: exported.in_csv(path))
        case _:
            path = folder / f"x.{kind}"
            return Place(kind, str(path), lambda: exported.in_json_lines(path))


@pytest.fixture(params=KINDS)
def any_place(request: pytest.FixtureRequest, tmp_path: Path, postgres: Postgres) -> Place:
    """Each kind of destination in turn."""
    return place(request.param, tmp_path, postgres)
