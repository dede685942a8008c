"""The key of a table in a file: one row for each, or an error that shows no data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.tables import Column, Engine, Table, TableSchema, Type
from tap_autodesk_exports.tables.hashing import Hashing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COLUMNS = (Column("id"), Column("name"), Column("changed_at", Type.TIMESTAMP))
KEYED = TableSchema(COLUMNS, key=("id",), unique=True)
VERSIONED = TableSchema(COLUMNS, key=("id",), unique=True, newest=(("changed_at",),))
HEADER = "id,name,changed_at\n"


@pytest.fixture
def rows(tmp_path: Path) -> Callable[..., list[dict]]:
    """`rows(text, schema)`: the rows that a file with that text gives, on both roads."""

    def read(content: str, schema: TableSchema = KEYED) -> list[dict]:
        path = tmp_path / "issues_issues.csv"
        path.write_text(HEADER + content)
        export = {
            "export_id": "e",
            "exported_at": "2026-02-12 04:42:48",
            "engine": Engine(tmp_path),
        }
        with Table(path, schema, **export) as table:
            names = {column.name for column in table.columns}
            found = list(table.records(names))
            lines = b"".join(table.lines("s", names, time_extracted="2026-01-01T00:00:00Z"))
            assert [json.loads(line)["record"] for line in lines.splitlines()] == found
            assert len(found) == table.count()
        return sorted(found, key=lambda row: (row["id"] or "", row["name"] or ""))

    return read


def test_equal_rows_with_one_key_are_one_row(rows):
    found = rows("a,one,2026-01-01 00:00:00\nb,two,\na,one,2026-01-01 00:00:00\n")
    assert [(row["id"], row["name"]) for row in found] == [("a", "one"), ("b", "two")]
    alone = rows("a,one,2026-01-01 00:00:00\n")
    assert found[0] == alone[0]


def test_different_rows_with_one_key_are_an_error_without_data(rows):
    with pytest.raises(FileError) as error:
        rows("secret-a,one,\nb,two,\nsecret-a,three,\nc,x,\nc,x,\n")
    assert "'issues_issues.csv' holds different rows with one key ('id')" in str(error.value)
    assert "1 key stands for several, one for 2 rows" in str(error.value)
    assert "secret" not in str(error.value)
    assert "three" not in str(error.value)


@pytest.mark.parametrize("content", [",one,\na,two,\n", ',one,\n"",two,\n'])
def test_a_row_without_its_key_is_an_error(rows, content):
    with pytest.raises(FileError, match="rows without a value of 'id', which is part of the key"):
        rows(content)


def test_a_key_that_does_not_fit_its_type_is_an_error(rows):
    schema = TableSchema((Column("id", Type.NUMBER), Column("name")), key=("id",), unique=True)
    assert len(rows("1,one,\n2e0,two,\n", schema)) == 2
    with pytest.raises(FileError, match="rows without a value of 'id'"):
        rows("1,one,\nb,two,\n", schema)


def test_an_empty_text_is_a_key(rows):
    assert len(rows('"",one,\na,two,\n')) == 2


def test_keys_that_have_one_hash_are_one_key(rows):
    hashing = Hashing(lambda name: name == "id", b"k" * 32)
    schema = TableSchema(COLUMNS, key=("id",), unique=True, hashing=hashing)
    assert len(rows("a@x.com,one,\nb@x.com,two,\n", schema)) == 2
    with pytest.raises(FileError, match="different rows with one key"):
        rows("A@x.com,one,\na@x.com,two,\n", schema)


def test_a_cell_that_the_catalog_does_not_know_tells_rows_apart(rows):
    schema = TableSchema(COLUMNS[:1], key=("id",), unique=True)
    with pytest.raises(FileError):
        rows("a,one,\na,two,\n", schema)


def test_two_spellings_of_one_key_are_one_key(rows):
    schema = TableSchema(
        (Column("id"), Column("name"), Column("changed_at", Type.TIMESTAMP)),
        key=("changed_at",),
        unique=True,
    )
    with pytest.raises(FileError):
        rows("a,one,2026-01-01 00:00:00\nb,two,2026-01-01T00:00:00Z\n", schema)


def test_the_newest_version_of_a_row_counts(rows):
    found = rows(
        "a,old,2026-01-01 00:00:00\na,newer,2026-01-03 00:00:00.5\nb,x,\n"
        "a,between,2026-01-03T00:00:00Z\na,unknown,\n",
        VERSIONED,
    )
    assert [row["name"] for row in found] == ["newer", "x"]


def test_two_newest_versions_that_differ_are_an_error(rows):
    with pytest.raises(FileError):
        rows("a,one,2026-01-01 00:00:00\na,two,2026-01-01 00:00:00\n", VERSIONED)


def test_a_file_without_its_key_is_an_error(rows):
    schema = TableSchema((*COLUMNS, Column("uid")), key=("uid",), unique=True)
    with pytest.raises(FileError, match="has no column 'uid', which is part of the key"):
        rows("a,one,\n", schema)


def test_without_a_unique_key_nothing_is_left_out(rows):
    assert len(rows("a,one,\na,one,\na,two,\n", TableSchema(COLUMNS, key=("id",)))) == 3


def test_many_repeated_rows_among_many(rows):
    content = "".join(f"{n},name {n},\n" for n in range(30_000)) * 2
    assert len(rows(content)) == 30_000
