"""The sandbox's data are coherent, right for their types, and a function of seed and date."""

from __future__ import annotations

import csv
import datetime as dt
import io
import os
import re
import subprocess
import sys
import time
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from tap_autodesk_exports.sandbox.data import registry
from tap_autodesk_exports.sandbox.data.dialect import document
from tap_autodesk_exports.sandbox.data.rows import Snapshot
from tap_autodesk_exports.sandbox.data.specials import links
from tap_autodesk_exports.sandbox.data.tables import Tables
from tap_autodesk_exports.sandbox.data.world import EPOCH, World

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = dt.datetime(2026, 9, 10, 12, 0, tzinfo=dt.UTC)
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{0,5}[1-9])?( UTC)?")
PATTERNS = {
    "string: UUID": UUID,
    "timestamp: SQL": STAMP,
    "date: string": re.compile(r"\d{4}-\d\d-\d\d"),
    "time": re.compile(r"\d\d:\d\d:\d\d"),
    "boolean": re.compile(r"[tf01]"),
}

Rows = list[dict[str, str | None]]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return Tables(World(seed=1), registry.load())


@pytest.fixture(scope="module")
def everything(tables: Tables) -> Mapping[str, Rows]:
    return read(tables, NOW)


def read(tables: Tables, now: dt.datetime) -> dict[str, Rows]:
    snapshot = Snapshot(now, activities=(now - dt.timedelta(days=30), now), changes=(EPOCH, now))
    return {
        name: [dict(zip(table.columns, row, strict=True)) for row in tables.rows(name, snapshot)]
        for name, table in tables.registry.items()
    }


def test_every_table_of_the_registry_is_there(everything: Mapping[str, Rows]) -> None:
    assert len(everything) == 443  # 430 bundled ones, and the 13 of cdcv2admin
    rows = Counter({name: len(found) for name, found in everything.items()})
    assert 10_000 < rows.total() < 30_000
    assert 20 < sum(count == 0 for count in rows.values()) < 120
    assert rows["issues_issues"] > 300


def test_every_cell_fits_its_type(tables: Tables, everything: Mapping[str, Rows]) -> None:
    for name, rows in everything.items():
        for column, kind in tables.registry[name].columns.items():
            cells = [row[column] for row in rows if row[column] is not None]
            if kind == "number":
                assert all(Decimal(cell).is_finite() for cell in cells), (name, column)
            elif pattern := PATTERNS.get(kind):
                wrong = [cell for cell in cells if not pattern.fullmatch(cell)]
                assert not wrong, (name, column, wrong[:3])


def test_keys_are_unique_and_never_null(tables: Tables, everything: Mapping[str, Rows]) -> None:
    for name, rows in everything.items():
        if key := tables.registry[name].key:
            found = Counter(tuple(row[column] for column in key) for row in rows)
            if name.startswith("activities_"):
                continue
            assert not [value for value, count in found.items() if count > 1], name
            assert all(None not in value for value in found), name


def test_links_lead_to_a_row_of_the_same_project(
    tables: Tables, everything: Mapping[str, Rows]
) -> None:
    followed = 0
    for name, rows in everything.items():
        for column, (target, key) in links(tables.registry[name], tables.registry).items():
            there = {row[key] for row in everything[target]}
            for row in rows:
                if row[column] is not None and column not in tables.registry[name].key:
                    assert row[column] in there, (name, column, row[column])
                    followed += 1
    assert followed > 3000
    projects = {row["issue_id"]: row["bim360_project_id"] for row in everything["issues_issues"]}
    for comment in everything["issues_comments"]:
        assert projects[comment["issue_id"]] == comment["bim360_project_id"]


def test_people_are_the_same_everywhere(everything: Mapping[str, Rows]) -> None:
    users = {row["id"]: row for row in everything["admin_users"]}
    autodesk_ids = {row["autodesk_id"] for row in users.values()}
    assert {row["user_id"] for row in everything["admin_project_users"]} <= set(users)
    assert {row["created_by"] for row in everything["issues_issues"]} <= autodesk_ids


def test_the_dialect_has_every_oddity_of_real_extracts(everything: Mapping[str, Rows]) -> None:
    cells = [cell for rows in everything.values() for row in rows for cell in row.values()]
    texts = [cell for cell in cells if cell is not None]
    assert None in cells
    assert "" in texts
    assert any("\n" in text for text in texts)
    assert any(text.startswith("\t") for text in texts)
    assert any(text.startswith('{"') for text in texts)
    stamps = [text for text in texts if STAMP.fullmatch(text) and not text.endswith("UTC")]
    assert {0, 1, 2, 3, 6} <= {len(text.partition(".")[2]) for text in stamps}
    assert {row["access_level_executive"] for row in everything["admin_users"]} == {"0", "1"}
    assert any((row["last_sign_in"] or "").endswith(" UTC") for row in everything["admin_users"])


def test_null_and_empty_text_are_written_apart_and_read_back() -> None:
    data = document(["a", "b", "c"], [[None, "", 'x,"y"\nz']], bom=True)
    assert data == b'\xef\xbb\xbfa,b,c\n,"","x,""y""\nz"\n'
    read_back = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    assert read_back[1] == ["", "", 'x,"y"\nz']


def test_the_same_seed_gives_the_same_data_and_another_seed_others(
    everything: Mapping[str, Rows],
) -> None:
    again = Tables(World(seed=1), registry.load())
    for name in ("admin_users", "issues_issues", "cost_budgets", "iq_rfis_disciplines"):
        rows = [list(row.values()) for row in everything[name]]
        assert list(again.rows(name, Snapshot(NOW))) == rows
    other = Tables(World(seed=2), registry.load())
    assert next(other.rows("admin_users", Snapshot(NOW))) != list(
        everything["admin_users"][0].values()
    )


def test_the_data_are_the_same_in_every_process() -> None:
    program = (
        "import datetime as dt, hashlib\n"
        "from tap_autodesk_exports.sandbox.data import registry\n"
        "from tap_autodesk_exports.sandbox.data.rows import Snapshot\n"
        "from tap_autodesk_exports.sandbox.data.tables import Tables\n"
        "from tap_autodesk_exports.sandbox.data.world import World\n"
        "tables = Tables(World(), registry.load())\n"
        "at = Snapshot(dt.datetime(2026, 9, 10, tzinfo=dt.UTC))\n"
        "names = [n for n, t in tables.registry.items() if t.group in {'assets', 'iq', 'admin'}]\n"
        "rows = [list(tables.rows(n, at)) for n in names]\n"
        "print(hashlib.sha256(repr(rows).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(digests) == 1


def test_a_later_date_shows_new_changed_and_deleted_rows(
    tables: Tables, everything: Mapping[str, Rows]
) -> None:
    later = read(tables, NOW + dt.timedelta(days=200))
    before = {row["issue_id"]: row for row in everything["issues_issues"]}
    after = {row["issue_id"]: row for row in later["issues_issues"]}
    assert set(before) < set(after)
    assert [key for key in before if before[key] != after[key]]
    marked = [sum(bool(row["deleted_at"]) for row in rows.values()) for rows in (before, after)]
    assert marked[0] < marked[1]
    gone = [
        name
        for name, rows in everything.items()
        if (key := tables.registry[name].key)
        and not name.startswith(("cdc", "activities"))
        and {tuple(r[c] for c in key) for r in rows}
        - {tuple(r[c] for c in key) for r in later[name]}
    ]
    assert gone


def test_what_two_snapshots_differ_in_is_what_the_change_group_tells(tables: Tables) -> None:
    later = NOW + dt.timedelta(days=60)
    header = list(tables.registry["issues_comments"].columns)
    changed = {
        row[0] for row in tables.rows("cdcissues_comments", Snapshot(later, changes=(NOW, later)))
    }
    before, after = (
        {row[0]: dict(zip(header, row, strict=True)) for row in rows}
        for rows in (tables.rows("issues_comments", Snapshot(at)) for at in (NOW, later))
    )
    differ = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert differ
    assert differ <= changed


def test_a_full_extract_is_made_within_seconds() -> None:
    begin = time.process_time()
    read(Tables(World(seed=3), registry.load()), NOW)
    assert time.process_time() - begin < 12  # about 3 s on a quiet machine
