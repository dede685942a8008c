"""What a downloaded file is, and what it becomes: workbooks, JSON, archives, error pages."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import stat
import zipfile
from typing import TYPE_CHECKING

import openpyxl
import pytest

from support.rescued import opened
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.files import archive as archive_module
from tap_autodesk_exports.files import sheets
from tap_autodesk_exports.files.archive import Archive
from tap_autodesk_exports.files.convert import Kind, as_csv, kind_of
from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.files.workbook import Workbook
from tap_autodesk_exports.tables import Column, Engine, Table, TableSchema, Type

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def rows_of(
    path: Path, folder: Path, *columns: Column, rename: Callable[[str], str] = str
) -> list[dict]:
    names = [column.name for column in columns]
    csv = as_csv(path, folder, json=True, expected=names, rename=rename)
    schema = TableSchema(columns, rename=rename)
    with Table(
        csv, schema, export_id="e", exported_at="2026-01-01", engine=Engine(folder)
    ) as table:
        return list(map(opened, table.records([*names, "_rescued_data"])))


def values_of(path: Path, folder: Path, *columns: Column) -> list[tuple]:
    return [tuple(row.values())[:-1] for row in rows_of(path, folder, *columns)]


# --- sniffing ------------------------------------------------------------------------------------


def test_a_csv_file_is_used_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "export.xlsx"
    path.write_text("id\n1\n")
    assert as_csv(path, tmp_path) == path


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "an HTML or XML page"),
        (b'\xef\xbb\xbf\n <?xml version="1.0"?><Error><Code>AccessDenied</Code>', "XML page"),
        (b"<Error><Code>ExpiredToken</Code></Error>", "an HTML or XML page"),
        (b"\x1f\x8b\x08\x00", "gzip-compressed, and damaged"),
        (b"%PDF-1.7", "PDF"),
        (b"\xff\xfei\x00d\x00", "UTF-16"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", r"\.xls"),
        (b"PK\x03\x04 and then nothing", "not a whole ZIP archive"),
        (b'{"developerMessage": "Quota limit exceeded."}', "without a list of objects"),
        (b'"just text"', None),
        (b"[1, 2]", "without a list of objects"),
        (b'[{"a": 1}, 2]', "mixes objects and other values"),
        (b'{"a": [{"x": 1}], "b": [{"x": 1}]}', "more than one list"),
        (b'[{"a": 1}', "not valid JSON"),
        (b'[{"a": 1}] tail', "not valid JSON"),
        (b'[{"a": 01}]', "not valid JSON"),
        (b'[{"a": "\xff"}]', "not valid UTF-8"),
        (b'[{"a": "\\ud800"}]', "not valid UTF-8"),
        (b"[]", "empty list"),
    ],
)
def test_a_file_that_is_no_table_is_told_by_what_it_is(tmp_path: Path, content, what) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes(content)
    if what is None:
        assert as_csv(path, tmp_path, json=True) == path
        return
    with pytest.raises(FileError, match=rf"'export\.csv' is .*{what}"):
        as_csv(path, tmp_path, json=True)


def test_an_archive_with_several_files_is_no_table(tmp_path: Path) -> None:
    path = archive(tmp_path, {"a.csv": b"id\n1\n", "b.csv": b"id\n2\n"})
    assert kind_of(path) is Kind.ARCHIVE
    with pytest.raises(FileError, match="is a ZIP archive with 2 files"):
        as_csv(path, tmp_path)


# --- workbooks -----------------------------------------------------------------------------------


def workbook(folder: Path, contents: dict[str, list[list]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in contents.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(folder / "export.xlsx")
    return folder / "export.xlsx"


FILTERS = [["Filter", "Wert"], ["team", "Alle"], ["email", "x"]]


def test_a_sheet_is_found_by_its_header_whatever_its_name_and_place(tmp_path: Path) -> None:
    path = workbook(
        tmp_path,
        {
            "Filter": FILTERS,
            "利用状況": [["Bericht"], [], ["Team", "Email", "Days used"], ["A", "b@c", 3]],
            "Benutzer": [["Team", "Email"], ["wrong", "sheet"]],
        },
    )
    columns = (Column("team"), Column("email"), Column("days_used", Type.NUMBER))
    rows = rows_of(path, tmp_path, *columns, rename=lambda n: n.lower().replace(" ", "_"))
    assert rows == [{"team": "A", "email": "b@c", "days_used": 3, "_rescued_data": None}]


def test_cells_keep_their_meaning_and_agree_with_openpyxl(tmp_path: Path) -> None:
    moment = dt.datetime(2026, 2, 12, 4, 42, 48, 123000)  # noqa: DTZ001
    cells = [
        1, 0, -7, 2.5, 1e16, 12345678901, 0.1, 1.0, True, False, "007", "-x",
        "Ünï \n 'q' \"z\"", dt.date(2026, 2, 12), moment, dt.time(7, 30), None, " x ",
    ]  # fmt: skip
    path = workbook(
        tmp_path, {"S": [["id", "cell"], *([at, cell] for at, cell in enumerate(cells))]}
    )
    found = values_of(path, tmp_path, Column("id", Type.NUMBER), Column("cell"))
    texts = [
        "1", "0", "-7", "2.5", "10000000000000000", "12345678901", "0.1", "1", "true", "false",
        "007", "-x", "Ünï \n 'q' \"z\"", "2026-02-12", "2026-02-12 04:42:48.123000", "07:30:00",
        None, " x ",
    ]  # fmt: skip
    assert found == list(enumerate(texts))
    book = openpyxl.load_workbook(path, read_only=True)
    again = [cell.value for _, cell in book.worksheets[0].iter_rows(min_row=2)]
    book.close()
    assert [text for _, text in found] == [written(cell) for cell in again]


def written(value: object) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case dt.datetime() if value.time() == dt.time():
            return str(value.date())
        case dt.datetime():
            return value.isoformat(" ")
    return str(value)


def test_dates_and_instants_of_a_workbook_are_typed_like_those_of_a_csv(tmp_path: Path) -> None:
    moment = dt.datetime(2026, 2, 12, 4, 42, 48)  # noqa: DTZ001
    midnight = dt.datetime(2026, 2, 12)  # noqa: DTZ001
    path = workbook(tmp_path, {"S": [["day", "at"], [midnight, moment], [midnight, midnight]]})
    assert values_of(path, tmp_path, Column("day", Type.DATE), Column("at", Type.TIMESTAMP)) == [
        ("2026-02-12", "2026-02-12T04:42:48.000000Z"),
        ("2026-02-12", "2026-02-12T00:00:00.000000Z"),
    ]


def test_a_large_sheet_read_in_pieces_is_the_same_as_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cell(row: int, column: int) -> object:
        day = dt.date(2026, 1, 1) + dt.timedelta(row)
        return (None, f"text {row % 7} <row>", row * 1.5, day, row % 2 == 0)[(row * column) % 5]

    rows = [[None, *(cell(row, column) for column in range(6))] for row in range(2000)]
    path = workbook(
        tmp_path,
        {"Filter": FILTERS, "Ü & <S>": [[], [None, *"abcdef"], *rows[:700], [], [], *rows[700:]]},
    )
    whole, in_pieces = tmp_path / "whole.csv", tmp_path / "pieces.csv"
    start = Workbook(path).head("Ü & <S>").index([*"abcdef"])
    Workbook(path).write("Ü & <S>", start, whole)
    assert whole.read_bytes().startswith(b",a,b,c,d,e,f\n")
    monkeypatch.setattr(sheets, "_PIECE", 5000)
    start = Workbook(path).head("Ü & <S>").index([*"abcdef"])
    Workbook(path).write("Ü & <S>", start, in_pieces)
    assert in_pieces.read_bytes() == whole.read_bytes()
    book = sheets.Sheets(path)
    assert len(list(book._pieces(book._parts["Ü & <S>"]))) > 10


def test_blank_rows_of_a_sheet_are_no_rows(tmp_path: Path) -> None:
    path = workbook(tmp_path, {"S": [["id", "n"], ["a", 1], [None, None], ["b", None]]})
    assert values_of(path, tmp_path, Column("id"), Column("n", Type.NUMBER)) == [
        ("a", 1),
        ("b", None),
    ]


@pytest.mark.parametrize("is_large", [False, True])
def test_the_text_of_an_error_in_a_workbook_is_a_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_large: bool
) -> None:
    """A product, a group or a machine may be called like one of Excel's errors."""
    if is_large:
        monkeypatch.setattr("tap_autodesk_exports.files.sheets._PIECE", 64)
    path = workbook(tmp_path, {"S": [["id", "n"], ["a", "#N/A"], ["#REF!", None], ["b", 1]]})
    target = tmp_path / "S.csv"
    Workbook(path).write("S", 0, target)
    assert target.read_text() == "id,n\na,#N/A\n#REF!,\nb,1\n"


def test_a_workbook_without_the_expected_columns_is_refused(tmp_path: Path) -> None:
    """Without the names of its sheets: one may be called after a person."""
    path = workbook(tmp_path, {"Filter": FILTERS, "Andere": [["x"]]})
    with pytest.raises(FileError, match=r"none of 2 sheets has the expected columns\.$"):
        as_csv(path, tmp_path, expected=["usage", "day"])


def test_a_damaged_workbook_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, {"xl/workbook.xml": b"<broken", "xl/_rels/workbook.xml.rels": b"<"})
    with pytest.raises(FileError, match="a workbook that cannot be read"):
        as_csv(path, tmp_path, expected=["id"])


# --- JSON ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrapped", ["[{}]", '{{"n": 1, "data": [{}], "tags": ["x"]}}', '{{"a": {{"b": [{}]}}}}']
)
def test_json_rows_are_found_in_a_list_or_in_the_one_list_of_an_object(
    tmp_path: Path, wrapped: str
) -> None:
    path = tmp_path / "export.json"
    path.write_text("\ufeff" + wrapped.format('{"id": "x", "n": 1},\n {"n": null, "new": true}'))
    assert rows_of(path, tmp_path, Column("id"), Column("n", Type.NUMBER)) == [
        {"id": "x", "n": 1, "_rescued_data": None},
        {"id": None, "n": None, "_rescued_data": {"new": "true"}},
    ]


@pytest.mark.parametrize(
    "beside",
    [
        '"pagination": {"offset": 0, "limit": 2, "totalResults": 5000}',
        '"pagination": {"offset": 100, "limit": 100}',
        '"total_rows": 3',
        '"count": 0',
        '"nextPage": "2"',
        '"hasMore": true',
        '"truncated": true',
        '"errors": ["x"]',
        '"error": {"message": "x"}',
    ],
)
def test_json_that_says_that_its_rows_are_a_part_is_refused(tmp_path: Path, beside: str) -> None:
    path = tmp_path / "export.json"
    for text in (f'{{{beside}, "data": [%s]}}', f'{{"data": [%s], {beside}}}'):
        path.write_text(text % '{"id": 1}, {"id": 2}')
        with pytest.raises(FileError, match=r"with 2 rows, and its '.*' says that these"):
            as_csv(path, tmp_path, json=True)


@pytest.mark.parametrize(
    "beside",
    [
        '"pagination": {"offset": 0, "limit": 100, "totalResults": 2}',
        '"next": null, "hasMore": false, "truncated": false, "errors": [], "error": ""',
        '"exportId": "x", "generatedAt": "2026-01-01", "seats": 500, "reports": ["USAGE"]',
    ],
)
def test_json_that_says_that_its_rows_are_all_there_is_is_read(tmp_path: Path, beside: str) -> None:
    path = tmp_path / "export.json"
    path.write_text(f'{{"data": [{{"id": 1}}, {{"id": 2}}], {beside}}}')
    assert [row["id"] for row in rows_of(path, tmp_path, Column("id"))] == ["1", "2"]


def test_json_values_keep_their_digits_and_their_nulls(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    numbers = ["0.1", "12345678901234567890.10", "1e-7", "-0", "1E400"]
    path.write_text(
        json.dumps([{"id": "", "s": 'a,"b"\n'}, {"id": None}])[:-1]
        + "".join(f', {{"n": {number}, "list": [{number}, {{"k":null}}]}}' for number in numbers)
        + "]"
    )
    target = as_csv(path, tmp_path, json=True)
    lines = target.read_text()
    assert lines.startswith('id,s,n,list\n"","a,""b""\n",,\n,,,\n')
    for number in numbers:
        assert f',,{number},"[{number},{{""k"":null}}]"\n' in lines


def test_a_name_that_a_json_object_repeats_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text('[{"id": 1, "id": 2}]')
    assert rows_of(path, tmp_path, Column("id")) == [{"id": "1", "_rescued_data": {"id#2": "2"}}]


def test_an_empty_json_list_is_a_table_without_rows_where_columns_are_expected(
    tmp_path: Path,
) -> None:
    path = tmp_path / "export.json"
    path.write_text('{"rows": []}')
    assert rows_of(path, tmp_path, Column("id")) == []


def test_json_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    rows = [{"id": f"{at}" + "é" * (at % 900), "n": at} for at in range(20_000)]
    path.write_text(json.dumps({"rows": rows}, ensure_ascii=False))
    assert path.stat().st_size > 10 * (1 << 20)
    found = values_of(path, tmp_path, Column("id"), Column("n", Type.NUMBER))
    assert found == [tuple(row.values()) for row in rows]


# --- archives ------------------------------------------------------------------------------------


def archive(folder: Path, members: dict[str, bytes], **how: int) -> Path:
    path = folder / "extract.zip"
    with zipfile.ZipFile(path, "w", how.get("compression", zipfile.ZIP_DEFLATED)) as out:
        for name, content in members.items():
            out.writestr(name, content)
    return path


def test_members_go_by_their_base_names_the_nearest_to_the_root_first(tmp_path: Path) -> None:
    path = archive(
        tmp_path,
        {
            "docs/README.html": b"far",
            "README.html": b"near",
            "out/a.csv": b"id\n1\n",
            "schemas/": b"",
        },
    )
    unpacked = Archive(path)
    names = {member.name: member.size for member in unpacked.names()}
    assert names == {"README.html": 4, "a.csv": 5}
    folder = tmp_path / "table"
    folder.mkdir()
    assert unpacked.extract("README.html", folder).read_bytes() == b"near"
    assert unpacked.extract("a.csv", folder) == folder / "a.csv"
    with pytest.raises(KeyError):
        unpacked.extract("b.csv", folder)


@pytest.mark.parametrize(
    "name", ["../a.csv", "/etc/a.csv", "x/../../a.csv", "..\\a.csv", "C:\\a.csv"]
)
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError, match="leads out of its folder"):
        Archive(archive(tmp_path, {name: b"id\n"}))


def test_a_link_in_an_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "extract.zip"
    with zipfile.ZipFile(path, "w") as out:
        link = zipfile.ZipInfo("a.csv")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        out.writestr(link, "/etc/passwd")
    with pytest.raises(FileError, match="leads out of its folder"):
        Archive(path)


def test_a_member_whose_checksum_is_wrong_is_refused_and_removed(tmp_path: Path) -> None:
    path = archive(tmp_path, {"a.csv": b"id\n12345\n"}, compression=zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"12345", b"12346"))
    folder = tmp_path / "table"
    folder.mkdir()
    with pytest.raises(FileError, match=r"'extract\.zip' holds a\.csv, .*cannot be unpacked"):
        Archive(path).extract("a.csv", folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_an_archive_that_is_cut_off_is_refused(tmp_path: Path, keep: float) -> None:
    path = archive(tmp_path, {"a.csv": b"id\n" * 1000})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(FileError, match="not a whole ZIP archive"):
        Archive(path)


def test_a_member_that_declares_less_than_it_holds_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, {"a.csv": b"id\n" + b"0" * 5000})
    size = (5003).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, (10).to_bytes(4, "little")))
    folder = tmp_path / "table"
    folder.mkdir()
    with pytest.raises(FileError, match="cannot be unpacked"):
        Archive(path).extract("a.csv", folder)
    assert list(folder.iterdir()) == []


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "LARGE", 1 << 20)
    path = archive(tmp_path, {"a.csv": b"0" * (4 << 20)})
    with pytest.raises(FileError, match="as only a ZIP bomb does"):
        Archive(path).extract("a.csv", tmp_path)


def test_a_member_larger_than_the_disk_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    unpacked = Archive(archive(tmp_path, {"a.csv": b"id\n" * 100}))
    with pytest.raises(
        TapError, match="needs 300 bytes of disk to be unpacked, where 100 are free"
    ):
        unpacked.extract("a.csv", tmp_path)
    assert not (tmp_path / "a.csv").exists()
