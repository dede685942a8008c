"""Several files, or sheets, of one report are one table."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import openpyxl
import pytest

from tap_autodesk_exports.files.combine import combine
from tap_autodesk_exports.files.convert import as_csv
from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.files.headers import with_the_reports_header
from tap_autodesk_exports.tables.spelling import any_spelling

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = ("day_used", "email", "offering_name", "tokens_used")
SEATS = [
    ["Day used", "Email", "Offering name"],
    ["2026-01-01", "a@x", "AEC"],
    ["2026-01-02", "b@x", "AEC"],
]
TOKENS = [
    ["Email", "Day used", "Tokens used", "Offering name"],
    ["c@x", "2026-01-03", "7", "Flex"],
]
ROWS = [
    {"day_used": "2026-01-01", "email": "a@x", "offering_name": "AEC", "tokens_used": ""},
    {"day_used": "2026-01-02", "email": "b@x", "offering_name": "AEC", "tokens_used": ""},
    {"day_used": "2026-01-03", "email": "c@x", "offering_name": "Flex", "tokens_used": "7"},
]


def rows_of(path: Path) -> list[dict[str, str]]:
    rename = any_spelling(COLUMNS)
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    return [dict(zip(map(rename, header), row, strict=True)) for row in rows]


def written(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_files_with_their_columns_in_another_order_are_one(tmp_path: Path) -> None:
    paths = [written(tmp_path / "0.csv", SEATS), written(tmp_path / "1.csv", TOKENS)]
    whole = combine(paths, tmp_path / "all.csv", any_spelling(COLUMNS))
    assert rows_of(whole) == ROWS


def test_csv_and_json_of_one_report_give_the_same_rows(tmp_path: Path) -> None:
    paths = []
    for at, (header, *rows) in enumerate((SEATS, TOKENS)):
        entries = [dict(zip(header, row, strict=True)) for row in rows]
        path = tmp_path / f"{at}.json"
        path.write_text(json.dumps(entries))
        paths.append(as_csv(path, tmp_path, json=True))
    assert rows_of(combine(paths, tmp_path / "all.csv", any_spelling(COLUMNS))) == ROWS


def test_a_single_file_is_used_as_it_is(tmp_path: Path) -> None:
    path = written(tmp_path / "0.csv", SEATS)
    assert combine([path], tmp_path / "all.csv") == path


def test_cells_stay_what_they_are(tmp_path: Path) -> None:
    first, second = tmp_path / "0.csv", tmp_path / "1.csv"
    first.write_bytes('\ufeffid,n,n\r\n"a\nb","",\r\nc,1,2'.encode())
    second.write_bytes(b'n,id,new\n"x""y","",z\n\n')
    whole = combine([first, second], tmp_path / "all.csv")
    assert whole.read_bytes() == b'id,n,n,new\n"a\nb","",,\nc,1,2,\n"","x""y",,z\n'


def test_a_damaged_file_among_several_is_named(tmp_path: Path) -> None:
    good, bad = written(tmp_path / "0.csv", SEATS), tmp_path / "1.csv"
    bad.write_text('Email,Day used\na@x,2026-01-01\nb@x,"2026')
    with pytest.raises(FileError, match=r"Line 3 of the file '1\.csv' opens a quote"):
        combine([good, bad], tmp_path / "all.csv")


def test_all_sheets_with_the_reports_header_are_loaded_once_and_the_others_named(
    tmp_path: Path,
) -> None:
    book = openpyxl.Workbook()
    book.remove(book.active)
    contents = {
        "Filters": [["Filter", "Value"], ["Email", "all"]],
        "Usage": [["Usage report"], [], *SEATS],
        "Usage (2)": TOKENS,
        "A copy": [["Tokens"], [], *TOKENS],
        "By offering": [["Offering name", "Rows"], ["AEC", 2]],
        "Empty": [],
    }
    for name, rows in contents.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    path = tmp_path / "export.xlsx"
    book.save(path)
    left_aside: list[int] = []
    copies: list[int] = []
    whole = as_csv(
        path,
        tmp_path,
        expected=COLUMNS,
        rename=any_spelling(COLUMNS),
        left_aside=left_aside.append,
        copies=copies.append,
    )
    assert rows_of(whole) == ROWS
    assert left_aside == [1, 5]
    assert copies == [4]


def test_the_reports_header_is_the_one_with_most_columns_or_almost_as_many() -> None:
    assert with_the_reports_header([{"a"}, {"a", "b", "c", "d"}, {"b", "c", "d"}, {"a", "b"}]) == [
        False,
        True,
        True,
        False,
    ]
    assert with_the_reports_header([set(), set()]) == [False, False]
    assert with_the_reports_header([]) == []
