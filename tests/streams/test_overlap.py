"""The next table is fetched while the present one is emitted, and the disk holds few of them."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import in_process, processes
from tap_autodesk_exports.autodesk.data_connector.schema.registry import bundled
from tap_autodesk_exports.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

LOGGER = logging.getLogger(__name__)
PATIENCE = 60
BIG = "issues_comments"
BIG_ROWS = int(os.environ.get("BIG_TABLE_ROWS", "60000"))
"""9 500 000 are 1 GB, for `make tables`."""
RECORD = b'"type":"RECORD"'


def write(folder: Path, table: str, rows: int) -> int:
    """Write a table of the extract; return its size."""
    columns = list(bundled()[table]["columns"])
    with (folder / f"{table}.csv").open("w") as file:
        file.write(",".join(columns) + "\n")
        file.writelines(f"{at}" + f",{os.urandom(8).hex()}" * (len(columns) - 1) + "\n"
                        for at in range(rows))  # fmt: skip
    return (folder / f"{table}.csv").stat().st_size


def begin(server: Sandbox, folder: Path, tables: list[str]) -> subprocess.Popen[bytes]:
    """Start the tap with its temporary files in `folder` / 'tmp'."""
    settings = {**server.settings(), "apis": ["data_connector"]}
    arguments = [str(processes.BIN / "tap-autodesk-exports")]
    for name, content in {
        "config": settings,
        "catalog": in_process.catalog(settings, *tables),
    }.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
        arguments += [f"--{name}", str(folder / f"{name}.json")]
    (folder / "tmp").mkdir()
    env = {**processes.clean_environment(), "TMPDIR": str(folder / "tmp")}
    return subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env, bufsize=0
    )


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def extract(tmp_path: Path) -> Path:
    folder = tmp_path / "extract"
    folder.mkdir()
    return folder


def test_the_next_table_is_fetched_while_the_target_takes_the_present_one(tmp_path, extract):
    tables = ["issues_attachments", "issues_comments", "issues_issues"]
    for table in tables:
        write(extract, table, 5000)
    with Sandbox(extract=extract, job_seconds=0) as server:
        process = begin(server, tmp_path, tables)
        assert process.stdout
        first = b""
        while b'"RECORD"' not in first:
            first = process.stdout.readline()

        def served() -> list[str]:
            return [s.kind for s in server.served if s.kind in tables]

        # Nobody reads on, so the first table fills the pipe and no row of the second goes out.
        wait_for(lambda: len(served()) == 2)
        assert served() == tables[:2]
        rest = process.stdout.read()
        assert process.wait(PATIENCE) == 0
        process.stdout.close()
        assert served() == tables
    assert (first + rest).count(b'"RECORD"') == 15_000
    assert list((tmp_path / "tmp").iterdir()) == []


def test_of_a_large_zip_the_disk_holds_one_table_and_the_next(tmp_path, extract):
    tables = [n for n, t in bundled().items() if t["service_group"] in {"issues", "rfis", "cost"}]
    tables = sorted(tables)[:40]
    assert BIG in tables
    sizes = {table: write(extract, table, BIG_ROWS if table == BIG else 300) for table in tables}
    with Sandbox(extract=extract, job_seconds=0) as server:
        process = begin(server, tmp_path, tables)
        assert process.stdout
        most = archive = records = 0
        last = b""
        while block := process.stdout.read(1 << 18):
            records += (last + block).count(RECORD)
            last = block[1 - len(RECORD) :]
            used = sizes_in(tmp_path / "tmp")
            most = max(most, sum(used.values()))
            archive = max([archive, *(s for name, s in used.items() if name.endswith(".zip"))])
        assert process.wait(PATIENCE) == 0
        process.stdout.close()
    LOGGER.info("%s: %s bytes; ZIP: %s; most on disk: %s", BIG, sizes[BIG], archive, most)
    small = max(size for table, size in sizes.items() if table != BIG)
    assert archive > 1 << 20
    assert sizes[BIG] + archive <= most <= sizes[BIG] + archive + small
    assert records == BIG_ROWS + 39 * 300
    assert list((tmp_path / "tmp").iterdir()) == []


def sizes_in(folder: Path) -> dict[str, int]:
    """Return name and size of the files that are there at the moment."""
    found = {}
    for parent, _, names in os.walk(folder):
        for path in (Path(parent) / name for name in names):
            with contextlib.suppress(FileNotFoundError):
                found[path.name] = path.stat().st_size
    return found
