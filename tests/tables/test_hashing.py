"""Personal data as a keyed hash: exact, the same everywhere, and nowhere beside it."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow.parquet
import pytest

from support.rescued import opened
from tap_autodesk_exports.tables import Column, Encoding, Engine, Table, TableSchema, Type
from tap_autodesk_exports.tables.hashing import Hashing

if TYPE_CHECKING:
    from pathlib import Path

KEY = b"a key that nobody knows"
COLUMNS = (Column("id"), Column("email"), Column("born", Type.DATE), Column("age", Type.NUMBER))
HIDDEN = {"email", "born", "age", "phone", "team"}
ROWS = (
    "id,email,born,age,phone\n"
    "1,Ada@Example.com,1990-01-02,35,0049 1\n"
    '2,"",1990-01-32,35.0,\n'
    "3,*****,,,\n"
    "4,,,,\n"
    "5,ada@example.com,1990-01-02,,0049 1\n"
)


def read(folder: Path, hashing: Hashing | None, **more: Any) -> list[dict[str, Any]]:
    path = folder / "people.csv"
    path.write_text(ROWS)
    team = {"team": (Type.STRING, "Team 7"), "none": (Type.STRING, None)}
    schema = TableSchema(COLUMNS, hashing=hashing, constants=team, **more)
    with Table(
        path, schema, export_id="e", exported_at="2026-01-01", engine=Engine(folder)
    ) as table:
        names = {column.name for column in table.columns}
        found = list(map(opened, table.records(names)))
        table_files: list[Path] = []

        def create(number: int):
            table_files.append(folder / f"{number}.parquet")
            return table_files[-1].open("wb")

        list(table.batches(create, names, encoding=Encoding.PARQUET, rows_per_file=9999))
    as_parquet = pyarrow.parquet.read_table(table_files[0]).to_pylist()
    for one, other in zip(found, as_parquet, strict=True):
        rescued = other.pop("_rescued_data")
        assert (rescued and json.loads(rescued)) == one["_rescued_data"]
        hidden = HIDDEN if hashing else {"email", "team"}
        assert {n: v for n, v in other.items() if n in hidden} == {
            n: v for n, v in one.items() if n in other and n in hidden
        }
    return found


def mac(text: str) -> str:
    return hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()


@pytest.fixture
def hashing() -> Hashing:
    return Hashing(HIDDEN.__contains__, KEY)


def test_values_are_replaced_and_what_is_empty_or_masked_stays(tmp_path, hashing):
    found = read(tmp_path, hashing)
    address = mac("ada@example.com")
    assert [row["email"] for row in found] == [address, "", "*****", None, address]
    assert found[0]["born"] == mac("1990-01-02")
    assert found[0]["age"] == mac("35")
    assert {row["team"] for row in found} == {mac("Team 7")}
    assert {row["none"] for row in found} == {None}
    assert [row["id"] for row in found] == ["1", "2", "3", "4", "5"]


def test_nothing_leaks_through_what_is_rescued(tmp_path, hashing):
    found = read(tmp_path, hashing)
    assert found[0]["_rescued_data"] == {"phone": mac("0049 1")}
    assert found[1]["_rescued_data"] == {"born": mac("1990-01-32")}
    text = json.dumps(found)
    assert not [raw for raw in ("xample", "1990", "0049", "Team 7", "35.0") if raw in text]


@pytest.mark.parametrize("key", [("email",), ("born", "email"), ("team", "age"), ()])
def test_row_ids_are_hashes_of_those_of_the_raw_values(tmp_path, hashing, key):
    """So nobody finds an address by trying, and no two rows become one."""
    raw = [row["_row_id"] for row in read(tmp_path, None, key=key)]
    assert [row["_row_id"] for row in read(tmp_path, hashing, key=key)] == [
        mac(row_id)[:32] for row_id in raw
    ]


def test_row_ids_stay_where_nothing_of_the_key_is_hashed(tmp_path, hashing):
    raw = [row["_row_id"] for row in read(tmp_path, None, key=("id",))]
    assert [row["_row_id"] for row in read(tmp_path, hashing, key=("id",))] == raw


def test_blanks_around_an_address_do_not_count(hashing):
    assert hashing.of(" Ada@Example.com ") == hashing.of("ada@example.com")
    assert hashing.of(" Ada ") != hashing.of("Ada")


@pytest.mark.parametrize("key", [b"", b"k", b"x" * 64, b"y" * 65, "schlüssel".encode(), b"'; --"])
def test_the_database_hashes_as_python_does(key):
    database = duckdb.connect()
    hashing = Hashing(str.isalpha, key)
    hashing.define(database)
    for text in (
        "a",
        "",
        "*****",
        " Ada.Ä@EXAMPLE.com  ",
        "\tA@x",
        " Ada",
        "'",
        "東京\n\t\0",
        "x" * 5000,
    ):
        found = database.execute("SELECT keyed_hash(?)", [text]).fetchall()
        assert found == [(hashing.of(text),)]
    assert database.execute("SELECT keyed_hash(NULL)").fetchall() == [(None,)]
    assert str(key) not in repr(hashing)
