"""No file takes more memory than its limit: what it holds is read in a process of its own."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import openpyxl
import pytest

from tap_autodesk_exports.files import archive as archive_module
from tap_autodesk_exports.files import child as child_module
from tap_autodesk_exports.files import csv_dialect, json_list
from tap_autodesk_exports.files.archive import Archive
from tap_autodesk_exports.files.convert import as_csv, kind_of
from tap_autodesk_exports.files.errors import FileError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="no limit for memory on this platform"
)


def workbook(folder: Path, rows: str, *, strings: str = "", before: str = "") -> Path:
    """Write a workbook with the header `id`, whose XML is what it is."""
    book = openpyxl.Workbook()
    book.active.append(["id"])
    made = io.BytesIO()
    book.save(made)
    path = folder / "export.xlsx"
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name in source.namelist():
            text = source.read(name).decode()
            if name == "xl/worksheets/sheet1.xml":
                text = text.replace("<sheetData>", before + "<sheetData>")
                text = text.replace("</sheetData>", rows + "</sheetData>")
            out.writestr(name, text)
        main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
        out.writestr("xl/sharedStrings.xml", f'<sst xmlns="{main}">{strings}</sst>')
    return path


def far(cell: str) -> str:
    row = re.sub(r"\D", "", cell)
    return f'<row r="{row}"><c r="{cell}"><v>1</v></c></row>'


HOSTILE = {
    "a cell at the far end": {"rows": far("XFD1048576")},
    "texts that unpack to much": {"strings": f"<si><t>{'x' * 1000}</t></si>" * 160_000},
    "very many texts": {"strings": "<si><t>x</t></si>" * 3_000_000},
    "very many cells": {"rows": '<row r="2">' + "<c><v>1</v></c>" * 2_000_000 + "</row>"},
    "no rows at all": {"before": "<cols>" + " " * (100 << 20) + "</cols>"},
}
MEMORY = 128 << 20
PROGRAM = """
import resource, sys
from pathlib import Path
from tap_autodesk_exports.files import child
from tap_autodesk_exports.files.convert import as_csv
from tap_autodesk_exports.files.errors import FileError
child.MEMORY = int(sys.argv[2])
path = Path(sys.argv[1])
try:
    as_csv(path, path.parent, json=True, expected=["id"])
except FileError as error:
    print(error)
who = resource.RUSAGE_CHILDREN
print(resource.getrusage(who).ru_maxrss << 10)
"""


def refused(path: Path, memory: int = MEMORY) -> tuple[str, int]:
    """Return why a file is refused, and the bytes that the process which read it took."""
    command = [sys.executable, "-c", PROGRAM, str(path), str(memory)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stderr == ""
    sentence, peak = run.stdout.splitlines()
    return sentence, int(peak)


@pytest.mark.parametrize("parts", HOSTILE.values(), ids=HOSTILE)
def test_a_workbook_that_takes_too_much_memory_is_refused_with_a_sentence(
    tmp_path: Path, parts: dict[str, str]
) -> None:
    path = workbook(tmp_path, **{"rows": "", **parts})
    assert path.stat().st_size < 1 << 20
    sentence, peak = refused(path)
    assert re.match(r"The file 'export\.xlsx' .*(128 MB of memory|has a row|no rows)", sentence)
    assert peak < MEMORY


def test_json_that_takes_too_much_memory_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text('[{"id":[' + "1," * 2_000_000 + "1]}]")
    sentence, peak = refused(path)
    assert "takes more than 128 MB of memory" in sentence
    assert peak < MEMORY


def test_the_limit_keeps_the_whole_below_512_megabytes() -> None:
    assert child_module.MEMORY <= 400 << 20


def test_an_ordinary_workbook_is_read_within_the_limit(tmp_path: Path) -> None:
    rows = "".join(f'<row r="{at}"><c r="A{at}"><v>{at}</v></c></row>' for at in range(2, 200_000))
    csv = as_csv(workbook(tmp_path, rows), tmp_path, expected=["id"])
    assert csv.read_text().splitlines()[-1] == "199999"


def test_a_stray_cell_not_far_away_is_no_trouble(tmp_path: Path) -> None:
    csv = as_csv(workbook(tmp_path, far("A50000")), tmp_path, expected=["id"])
    assert csv.read_bytes() == b"id\n1\n"


def test_the_process_that_reads_ends_with_its_work(tmp_path: Path) -> None:
    as_csv(workbook(tmp_path, ""), tmp_path, expected=["id"])
    with child_module._Child(tmp_path / "export.xlsx") as child:
        process = child._process
        child.ask(do="open", path=str(tmp_path / "export.xlsx"))
        assert process.poll() is None
    assert process.poll() is not None


def test_json_whose_objects_all_have_other_names_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_list, "MAX_COLUMNS", 100)
    path = tmp_path / "export.json"
    path.write_text("[" + ",".join(f'{{"n{at}":1}}' for at in range(101)) + "]")
    with pytest.raises(FileError, match="more than 100 different names"):
        json_list.list_to_csv(path, tmp_path / "rows.csv")


@pytest.mark.parametrize("start", ["a,b\n", ""], ids=["a row", "the header"])
def test_a_record_of_more_cells_than_any_table_has_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    monkeypatch.setattr(csv_dialect, "MAX_CELLS", 100)
    path = tmp_path / "rows.csv"
    path.write_text(start + "a" + ",a" * 100 + "\n")
    with pytest.raises(FileError, match="a record of more than 100 cells"):
        list(csv_dialect.records(path))


def test_a_member_whose_name_no_file_can_have_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "extract.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("folder/" + "ü" * 130 + ".csv", b"id\n")
    with pytest.raises(FileError, match=r"holds .ü{100}…., a name that is too long"):
        Archive(path)


def test_a_million_entries_of_a_zip_archive_are_not_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for at in range(1000):
            out.writestr(f"{at}.csv", b"")
    data = buffer.getvalue()
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    directory = data[start:end] * 1000
    path = tmp_path / "extract.zip"
    size = len(directory).to_bytes(4, "little")
    path.write_bytes(data[:start] + directory + data[end : end + 12] + size + data[end + 16 :])
    for read in (Archive, kind_of):
        with pytest.raises(FileError, match=r"list of files has \d+ bytes"):
            read(path)


def test_the_archives_of_real_extracts_are_far_below_the_limit() -> None:
    assert archive_module.MAX_DIRECTORY > 254 * 200 * 10
