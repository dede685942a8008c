"""What is hashed is hashed everywhere, and no signed link leaves with the rows."""

from __future__ import annotations

import fnmatch
import json
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from support.rescued import opened
from tap_autodesk_exports.files.convert import as_csv
from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.tables import (
    Column,
    Encoding,
    Engine,
    Table,
    TableSchema,
    Type,
    layout,
    long_cells,
)
from tap_autodesk_exports.tables.hashing import Hashing
from tap_autodesk_exports.tables.links import may_hold_signature, without_signatures

if TYPE_CHECKING:
    from pathlib import Path

ADDRESS = "Ann.Person@example.invalid"
COLUMNS = (
    Column("id"),
    Column("email"),
    Column("details"),
    Column("n", Type.NUMBER),
    Column("first_name"),
)


def hashing(*patterns: str) -> Hashing:
    return Hashing(
        lambda name: any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns), b"key"
    )


HASHING = hashing("email", "first_name")
HASH = HASHING.of(ADDRESS)


def everything(path: Path, folder: Path, schema: TableSchema) -> tuple[list[dict[str, Any]], bytes]:
    """Return the records, and all bytes of lines and batch files."""
    engine = Engine(folder)
    with Table(path, schema, export_id="e", exported_at="2026-01-01", engine=engine) as table:
        names = {column.name for column in table.columns}
        records = list(map(opened, table.records(names)))
        output = b"".join(table.lines("s", names, time_extracted="x"))
        for encoding in (Encoding.JSONL, Encoding.PARQUET):

            def create(number: int, encoding: Encoding = encoding):
                return (folder / f"{encoding}-{number}").open("wb")

            for number in table.batches(create, names, encoding=encoding, rows_per_file=100_000):
                file = folder / f"{encoding}-{number}"
                if encoding is Encoding.PARQUET:
                    output += repr(pq.read_table(file).to_pylist()).encode()
                else:
                    output += file.read_bytes()
    return records, output


def table_of(text: str, folder: Path, schema: TableSchema) -> tuple[list[dict[str, Any]], bytes]:
    path = folder / "rows.csv"
    path.write_text(text)
    return everything(path, folder, schema)


def in_csv(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


HEADERS = ["email#2", "email", "Email", "EMAIL", " e-mail ", "eMail", "first_name", "First Name",
           "firstName", "FIRSTNAME"]  # fmt: skip


@pytest.mark.parametrize("header", HEADERS)
def test_a_hashed_name_is_hashed_in_every_spelling_and_every_time(
    tmp_path: Path, header: str
) -> None:
    text = f"id,email,{in_csv(header)}\n1,{ADDRESS},{ADDRESS}\n"
    schema = TableSchema(COLUMNS, key=("id",), hashing=HASHING)
    ((record,), output) = table_of(text, tmp_path, schema)
    assert record["email"] == HASH
    other = [record["first_name"], *(record["_rescued_data"] or {}).values()]
    assert set(other) == {HASH, None} or other == [HASH]
    assert b"ann.person" not in output.lower()


def test_a_column_that_merely_contains_the_name_is_not_hashed(tmp_path: Path) -> None:
    schema = TableSchema(COLUMNS, key=("id",), hashing=HASHING)
    ((record,), _) = table_of("id,emails_sent\n1,3\n", tmp_path, schema)
    assert record["_rescued_data"] == {"emails_sent": "3"}


NESTED = {
    "an object": {"email": ADDRESS, "n": 1.50},
    "deep inside": {"a": [{"b": {"Email": ADDRESS}}, 2]},
    "a list under the name": {"email": [ADDRESS, {"x": ADDRESS}, None, 5]},
    "JSON in JSON": {"a": json.dumps({"email": ADDRESS, "n": json.dumps([{"email": ADDRESS}])})},
    "another spelling": [{"firstName": ADDRESS}],
}  # fmt: skip


@pytest.mark.parametrize("column", ["details", "unknown"])
@pytest.mark.parametrize("value", NESTED.values(), ids=NESTED)
def test_a_hashed_name_inside_a_json_text_is_hashed(
    tmp_path: Path, column: str, value: object
) -> None:
    schema = TableSchema(COLUMNS, key=("id",), hashing=HASHING)
    text = f"id,{column}\n1,{in_csv(json.dumps(value))}\n"
    ((record,), output) = table_of(text, tmp_path, schema)
    assert b"ann.person" not in output.lower()
    assert HASH.encode() in output
    kept = record[column] if column == "details" else record["_rescued_data"][column]
    assert type(json.loads(kept)) is type(value)


@pytest.mark.parametrize("depth", [100, 900, 5000])
def test_a_hashed_name_inside_a_json_text_that_is_nested_deeply_is_hashed(
    tmp_path: Path, depth: int
) -> None:
    schema = TableSchema(COLUMNS, key=("id",), hashing=HASHING)
    cell = f'{{"email":"{ADDRESS}","x":{"[" * depth}{"]" * depth}}}'
    _, output = table_of(f"id,details\n1,{in_csv(cell)}\n", tmp_path, schema)
    assert b"ann.person" not in output.lower()


def test_a_name_twice_in_one_object_is_hashed_twice(tmp_path: Path) -> None:
    twice = f'{{"email":"{ADDRESS}","n":1.50,"email":"x{ADDRESS}"}}'
    path = tmp_path / "list.json"
    path.write_text(f'[{{"id":"1","email":"{ADDRESS}","email":"{ADDRESS}","new":{twice}}}]')
    schema = TableSchema(COLUMNS, key=("id",), hashing=HASHING)
    ((record,), output) = everything(as_csv(path, tmp_path, json=True), tmp_path, schema)
    assert b"ann.person" not in output.lower()
    assert record["_rescued_data"]["email#2"] == HASH
    other = HASHING.of("x" + ADDRESS)
    assert record["_rescued_data"]["new"] == f'{{"email":"{HASH}","n":1.50,"email":"{other}"}}'


@pytest.mark.parametrize(
    "text",
    [
        f'{{"email": "{ADDRESS}"',  # cut off
        f'sent: {{"email": "{ADDRESS}"}} twice',
        f'{{"a": 1}} {{"email": "{ADDRESS}"}}',
        f'{{"email": "{ADDRESS}", "much": "{"x" * (5 << 20)}"}}',
    ],
    ids=["cut off", "in words", "two texts", "long"],
)
def test_what_cannot_be_taken_apart_is_hashed_as_a_whole(tmp_path: Path, text: str) -> None:
    schema = TableSchema(COLUMNS, key=("id",), hashing=HASHING)
    ((record,), output) = table_of(f"id,details\n1,{in_csv(text)}\n", tmp_path, schema)
    assert b"ann.person" not in output.lower()
    assert record["details"] == HASHING.of(text)


@pytest.mark.parametrize("text", ['{"a":1.50}', "{}", 'say "x": y', '{"mail":"a"}', "a:b", '""'])
def test_other_json_texts_stay_as_they_are(tmp_path: Path, text: str) -> None:
    schema = TableSchema(COLUMNS, key=("id",), hashing=HASHING)
    ((record,), _) = table_of(f"id,details\n1,{in_csv(text)}\n", tmp_path, schema)
    assert record["details"] == text


@pytest.mark.parametrize("length", [0, long_cells.LONG + 1])
@pytest.mark.parametrize("folded", [False, True])
def test_long_cells_and_folded_columns_are_hashed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, *, folded: bool
) -> None:
    if folded:
        monkeypatch.setattr(layout, "MOST_UNKNOWN", 0)
    address = "x" * length + ADDRESS
    nested = json.dumps({"email": address, "n": 1})
    text = f"id,email,email,new\n1,{address},{address},{in_csv(nested)}\n"
    schema = TableSchema(COLUMNS, key=("id",), hashing=HASHING)
    ((record,), output) = table_of(text, tmp_path, schema)
    hashed = HASHING.of(address)
    assert record["email"] == record["_rescued_data"]["email#2"] == hashed
    assert json.loads(record["_rescued_data"]["new"]) == {"email": hashed, "n": 1}
    assert b"ann.person" not in output.lower()


def test_a_row_keeps_its_id_whether_a_hashed_cell_is_long_or_its_file_is_rewritten(
    tmp_path: Path,
) -> None:
    schema = TableSchema(COLUMNS, key=("email",), hashing=HASHING)
    row = f"1,{'y' * 20_000}{ADDRESS},\n2,{ADDRESS},\n"
    (first, _) = table_of("id,email,details\n" + row, tmp_path, schema)
    (second, _) = table_of(
        "id,email,details\n" + row + f'3,x,"{{""email"": ""{ADDRESS}""}}"\n', tmp_path, schema
    )
    assert [record["_row_id"] for record in first] == [each["_row_id"] for each in second][:2]


def test_sentences_hold_no_hashed_value(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"1,{ADDRESS}\n2,b@x\n")
    export = {"export_id": "e", "exported_at": "2026-01-01", "engine": Engine(tmp_path)}
    for schema in (TableSchema(COLUMNS, hashing=HASHING), TableSchema(COLUMNS)):
        with pytest.raises(FileError) as failure:
            Table(path, schema, **export)
        assert "ann.person" not in str(failure.value).lower()
    path.write_text("id\n1\n")
    constants = {"email": (Type.DATE, ADDRESS)}
    schema = TableSchema((Column("id"),), constants=constants, hashing=HASHING)
    with (
        Table(path, schema, **export) as table,
        pytest.raises(ValueError, match="is not a date") as wrong,
    ):
        list(table.records({"id"}))
    assert "ann.person" not in str(wrong.value).lower()


# --- signed links --------------------------------------------------------------------------------

SIGNED = [
    "https://b.s3.amazonaws.com/x.csv?X-Amz-Algorithm=A&X-Amz-Signature=5EC2E7&X-Amz-Expires=60",
    "https://d1.cloudfront.net/x?Expires=1&Signature=5EC2E7~abc&Key-Pair-Id=K1",
    "https://a.blob.core.windows.net/c/x?sv=2022&sr=b&sig=5EC2E7%3D",
    "https://storage.googleapis.com/b/x?X-Goog-Algorithm=G&x-goog-signature=5EC2E7",
    "HTTPS://X.EXAMPLE/Y?SIGNATURE=5EC2E7",
    "https://x.example/y?access_token=5EC2E75EC2E75EC2E7",
    "https://x.example/y?a=1&amp;sig=5EC2E7",
    "https:\\/\\/x.example\\/y?sig=5EC2E7",
    "https://x.example/y?a=1\\u0026sig=5EC2E7",
    "https%3A%2F%2Fx.example%2Fy%3Fsig%3D5EC2E7",
    "https://x.example/go?to=https%3A%2F%2Fx.example%2Fy%3Fsig%3D5EC2E7",
    "https://x.example/go?to=https%253A%252F%252Fx.example%252Fy%253Fsig%253D5EC2E7",
]
UNSIGNED = [
    "https://x.example/y?design=5EC2E7&assignee=5EC2E7",
    "https://x.example/y?token=5",
    "https://x.example/signature",
    "what?sig=5EC2E7",
    "100% of https: //",
]


@pytest.mark.parametrize("link", SIGNED)
@pytest.mark.parametrize("around", ["{}", "see {} there", '{{"note": "{}"}}'])
def test_a_signed_link_loses_its_query_whatever_its_column_is_called(
    tmp_path: Path, link: str, around: str
) -> None:
    cell = in_csv(around.format(link))
    header = "id,details,unknown,n\n"
    text = f"{header}1,{cell},{cell},{cell}\n2,plain,,7\n"
    (records, output) = table_of(text, tmp_path, TableSchema(COLUMNS, key=("id",)))
    assert b"5EC2E7" not in output
    signed, plain = records
    assert "?***" in signed["details"].replace("%3F", "?")
    assert set(signed["_rescued_data"]) == {"unknown", "n"}
    assert plain["details"] == "plain"
    with Table(
        tmp_path / "rows.csv",
        TableSchema(COLUMNS),
        export_id="e",
        exported_at="2026-01-01",
        engine=Engine(tmp_path),
    ) as table:
        table.count()
        assert table.signed_links == ("details", "n", "unknown")


@pytest.mark.parametrize("link", UNSIGNED)
def test_other_links_stay_as_they_are(tmp_path: Path, link: str) -> None:
    schema = TableSchema(COLUMNS, key=("id",))
    ((record,), _) = table_of(f"id,details\n1,{in_csv(link)}\n", tmp_path, schema)
    assert record["details"] == link
    assert without_signatures(link) == link
    assert not may_hold_signature(link.encode())


def test_a_signed_link_that_comes_late_in_a_large_file_is_found(tmp_path: Path) -> None:
    rows = "".join(f"{at},{'x' * 400},,1\n" for at in range(20_000))
    text = f"id,details,unknown,n\n{rows}20000,{SIGNED[0]},,1\n"
    (records, output) = table_of(text, tmp_path, TableSchema(COLUMNS, key=("id",)))
    assert len(records) == 20_001
    assert b"5EC2E7" not in output


def test_rows_that_differ_in_a_signature_only_have_ids_of_their_own(tmp_path: Path) -> None:
    link = SIGNED[0]
    text = f"id,details\n1,{link}\n1,{link}x\n"
    (records, _) = table_of(text, tmp_path, TableSchema(COLUMNS))
    assert len({record["_row_id"] for record in records}) == 2


@pytest.mark.timeout(20)
def test_long_texts_are_searched_in_time_that_grows_with_their_length() -> None:
    for text in ("x" * 10**6, "a." * 10**6, "a:" * 10**6, "http://" * 10**5, "://?" * 10**5):
        for each in (text, text + "?a=%"):
            without_signatures(each)
            may_hold_signature(each.encode())
