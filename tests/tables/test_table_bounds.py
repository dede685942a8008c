"""Memory is bounded, whatever a file holds."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from support.rescued import opened
from tap_autodesk_exports.files.csv_dialect import MAX_RECORD
from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.tables import (
    Column,
    Engine,
    Table,
    TableSchema,
    Type,
    layout,
    long_cells,
    reading,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="no limit for memory on this platform"
)

COLUMNS = (Column("id"), Column("n", Type.NUMBER), Column("text"))
SCHEMA = TableSchema(COLUMNS, key=("id",))
PROGRAM = """
import resource, sys
from pathlib import Path
limit = int(sys.argv[4]) << 20
if limit:
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
from tap_autodesk_exports.tables import Column, Encoding, Engine, Table, TableSchema, Type
path, way = Path(sys.argv[1]), sys.argv[2]
columns = [Column(name, Type(type_)) for name, type_ in eval(sys.argv[3])]
schema = TableSchema(tuple(columns), key=("id",))
size = 0
with Table(path, schema, export_id="e", exported_at="2026-01-01", engine=Engine(path.parent)) as t:
    names = {column.name for column in t.columns}
    if way == "lines":
        for chunk in t.lines("s", names, time_extracted="x"):
            size += len(chunk)
    elif way == "records":
        for record in t.records(names):
            size += sum(len(value) for value in record.values() if isinstance(value, str))
            del record
    else:
        create = lambda number: (path.parent / f"batch-{number}").open("wb")
        for number in t.batches(create, names, encoding=Encoding(way), rows_per_file=10_000):
            size += (path.parent / f"batch-{number}").stat().st_size
status = Path("/proc/self/status").read_text()
print(size, int(status.split("VmHWM:")[1].split()[0]) >> 10)
"""


def load(path: Path, way: str = "lines", *, columns=COLUMNS, limit: int = 0) -> tuple[int, int]:
    """Read a file in a process of its own; return what came out in bytes, and its peak in MB.

    Args:
        path: The file.
        way: `lines`, `records`, or an encoding of batch files.
        columns: What the schema knows.
        limit: MB of address space that the process has; 0 for any.
    """
    known = repr([(column.name, column.type.value) for column in columns])
    command = [sys.executable, "-c", PROGRAM, str(path), way, known, str(limit)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    size, peak = map(int, run.stdout.split())
    return size, peak


def write(folder: Path, *parts: str) -> Path:
    path = folder / "rows.csv"
    with path.open("w", newline="") as file:
        file.writelines(parts)
    return path


CELLS = {
    "text": "x" * (MAX_RECORD - 100),
    "quotes": '"' + '""' * (MAX_RECORD // 2 - 100) + '"',
    "lines": '"' + "a\n" * (MAX_RECORD // 2 - 100) + '"',
}


@pytest.mark.parametrize("way", ["lines", "records", "jsonl+gzip", "parquet"])
def test_a_cell_of_64_megabytes_takes_less_than_512_of_memory(tmp_path: Path, way: str) -> None:
    path = write(tmp_path, "id,n,text\n1,1,", CELLS["text"], "\n2,2,y\n")
    size, peak = load(path, way)
    assert peak < 450
    if way in {"lines", "records"}:
        assert size > MAX_RECORD - 100


@pytest.mark.parametrize("kind", ["quotes", "lines"])
def test_what_the_cell_holds_does_not_matter(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, "id,n,text\n1,1,", CELLS[kind], "\n2,2,y\n")
    size, peak = load(path)
    assert size > MAX_RECORD // 2 * 2 - 1000
    assert peak < 500


def test_a_longer_record_is_refused_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, "id,n,text\n1,1,y\n2,2,", "x" * MAX_RECORD, "\n")
    with (
        Table(
            path, SCHEMA, export_id="e", exported_at="2026-01-01", engine=Engine(tmp_path)
        ) as table,
        pytest.raises(FileError, match=r"Line 3 of the file .* more than 67108864 bytes"),
    ):
        table.count()


@pytest.mark.parametrize("way", ["lines", "parquet"])
def test_many_long_cells_take_no_more_than_one(tmp_path: Path, way: str) -> None:
    row = "{},1," + "x" * (100 << 10) + "\n"
    path = write(tmp_path, "id,n,text\n", *(row.format(at) for at in range(800)))
    _, peak = load(path, way)
    assert peak < 300


@pytest.mark.parametrize("most_heavy", [0, 1 << 30])
def test_long_cells_leave_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_heavy: int
) -> None:
    monkeypatch.setattr(reading, "_MOST_HEAVY", most_heavy)
    long = 'é"\\\n\x01😀' * 5000
    cells = [long, "short", long + "x", "", f"{long_cells.MARK}abc", long]
    rows = ["id,n,text,new,n\n"]
    for at, cell in enumerate(cells):
        quoted = '"' + cell.replace('"', '""') + '"'
        rows.append(f"{at},{quoted},{quoted},{quoted},\n")
    path = write(tmp_path, *rows)
    with Table(
        path, SCHEMA, export_id="e", exported_at="2026-01-01", engine=Engine(tmp_path)
    ) as table:
        names = {"id", "n", "text", "_rescued_data"}
        records = [opened(record) for record in table.records(names)]
        lines = b"".join(table.lines("s", names, time_extracted="x")).split(b"\n")[:-1]
        assert [opened(json.loads(line)["record"]) for line in lines] == records
    assert [record["text"] for record in records] == cells
    assert [record["_rescued_data"] for record in records] == [
        {"n": cell, "new": cell} for cell in cells
    ]


def test_a_long_key_gives_the_same_id_in_every_file(tmp_path: Path) -> None:
    long = "k" * (long_cells.LONG + 1)
    schema = TableSchema(COLUMNS)
    ids = []
    for more in ("", "x" * (9 << 20)):  # the second one makes the file to be rewritten
        path = write(tmp_path, f"id,n,text\n{long},1,a\n{long},1,a\n", f'z,1,"{more}"\n')
        with Table(
            path, schema, export_id="e", exported_at="2026-01-01", engine=Engine(tmp_path)
        ) as table:
            assert table.count() == 3
            found = {(r["id"], r["_row_id"]) for r in table.records({"id", "_row_id"})}
        ids.append({each for name, each in found if name == long})
    assert ids[0] == ids[1]
    assert len(ids[0]) == 2


def test_thousands_of_unknown_columns_take_time_and_memory_in_proportion(tmp_path: Path) -> None:
    names = [f"new_{at}" for at in range(4000)]
    row = ",".join("" if at % 3 else f"v{at}" for at in range(4000))
    header = "id,n,text," + ",".join(names) + "\n"
    path = write(tmp_path, header, *(f"{at},1,x,{row}\n" for at in range(150)))
    size, peak = load(path)
    assert peak < 400
    assert size > 150 * 4000 * 5
    with Table(
        path, SCHEMA, export_id="e", exported_at="2026-01-01", engine=Engine(tmp_path)
    ) as table:
        assert list(table.unknown) == names
        first = opened(next(iter(table.records({"id", "_rescued_data"}))))
    assert first["_rescued_data"] == {f"new_{at}": f"v{at}" for at in range(0, 4000, 3)}


@pytest.mark.timeout(60)
def test_one_name_a_hundred_thousand_times_is_read_in_seconds(tmp_path: Path) -> None:
    path = write(tmp_path, "id" + ",a" * 100_000 + "\n", "1" + ",z" * 100_000 + "\n")
    start = time.process_time()
    with Table(
        path, SCHEMA, export_id="e", exported_at="2026-01-01", engine=Engine(tmp_path)
    ) as table:
        (record,) = map(opened, table.records({"id", "_rescued_data"}))
    assert len(record["_rescued_data"]) == 100_000
    assert record["_rescued_data"]["a#100000"] == "z"
    assert time.process_time() - start < 20


def test_folded_columns_are_kept_like_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = 'new,n,id,n,other,id\n1,x,a,2,"q""q",\n,,b,,,\n"",7,c,é,w,5\n'
    path = write(tmp_path, text)
    found = []
    for most in (100, 2):
        monkeypatch.setattr(layout, "MOST_UNKNOWN", most)
        with Table(
            path, SCHEMA, export_id="e", exported_at="2026-01-01", engine=Engine(tmp_path)
        ) as table:
            names = {column.name for column in table.columns}
            found.append([opened(record) for record in table.records(names)])
            assert table.unknown == ("new", "n#2", "other", "id#2")
    assert found[0] == found[1]
    assert [record["_rescued_data"] for record in found[0]] == [
        {"n": "x", "new": "1", "n#2": "2", "other": 'q"q'},
        None,
        {"new": "", "n#2": "é", "other": "w", "id#2": "5"},
    ]


@pytest.mark.parametrize("way", ["lines", "records", "jsonl+gzip", "parquet"])
def test_a_wide_table_is_read_within_a_gigabyte_of_address_space(tmp_path: Path, way: str) -> None:
    columns = [Column("id"), *(Column(f"column_{at}") for at in range(150))]
    header = ",".join(column.name for column in columns) + "\n"
    row = ",some words" * 150 + "\n"
    path = write(tmp_path, header, *(f"{at}{row}" for at in range(8000)))
    assert path.stat().st_size > 12 << 20
    size, peak = load(path, way, columns=columns, limit=1024)
    assert size > 0
    assert peak < 512
