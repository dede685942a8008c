"""What a file is decides whether it is a table, whatever it is called and however it is packed."""

from __future__ import annotations

import gzip
import io
import zipfile
from typing import TYPE_CHECKING

import pytest

from tap_autodesk_exports.errors import NoSpace
from tap_autodesk_exports.files import archive as archive_module
from tap_autodesk_exports.files.convert import as_csv
from tap_autodesk_exports.files.errors import FileError

if TYPE_CHECKING:
    from pathlib import Path

BOM = "\ufeff"
DOCUMENTS = {
    "an error": '{"code": "AccessDenied"}',
    "an empty list": "[]",
    "an empty list in an object": '{"data": []}',
    "a list of objects": '[{"id": 1}]',
    "after blank lines": "\n\r\n  [ ]",
    "after a byte order mark": BOM + "[]",
    "after both": f"\n{BOM}\n {BOM}[]",
    "a page": "<!DOCTYPE html><html><body>id</body></html>",
    "a page after blank lines": f"{BOM}\n\t\n<html><body>Sign in</body></html>",
    "XML": '<?xml version="1.0"?><Error><Code>SlowDown</Code></Error>',
    "XML without a declaration": "<Error/>",
}


def as_it_is(data: bytes) -> bytes:
    return data


def in_zip(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("folder/export.csv", data)
    return buffer.getvalue()


def in_parts(data: bytes) -> bytes:
    """Return data packed with gzip as two streams, one after the other."""
    return gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :])


PACKED = [as_it_is, gzip.compress, in_parts, in_zip]


@pytest.mark.parametrize("pack", PACKED)
@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_document_where_csv_was_requested_is_an_error(
    tmp_path: Path, document: str, pack
) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes(pack(document.encode()))
    with pytest.raises(FileError, match=r"is (JSON|an HTML or XML page), not a table"):
        as_csv(path, tmp_path, expected=["id"])


@pytest.mark.parametrize("pack", PACKED)
def test_a_packed_table_is_unpacked(tmp_path: Path, pack) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes(pack(b"id,n\n1,2\n"))
    assert as_csv(path, tmp_path).read_bytes() == b"id,n\n1,2\n"


def test_a_document_that_was_requested_is_read_packed_or_not(tmp_path: Path) -> None:
    for pack in PACKED:
        path = tmp_path / f"export-{pack.__name__}.json"
        path.write_bytes(pack(b'[{"id": 1}, {"id": null, "n": "x"}]'))
        csv = as_csv(path, tmp_path, json=True, expected=["id"])
        assert csv.read_bytes() == b"id,n\n1,\n,x\n"


@pytest.mark.parametrize("cut", [5, 12, -9, -1])
def test_a_packed_file_that_is_cut_off_or_damaged_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "export.csv.gz"
    packed = gzip.compress(b"id,n\n" + b"1,2\n" * 1000)
    damaged = bytearray(packed)
    damaged[-6] ^= 1
    for data in (packed[:cut], bytes(damaged)):
        path.write_bytes(data)
        with pytest.raises(FileError, match=r"'export\.csv\.gz' is gzip-compressed, and damaged"):
            as_csv(path, tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["export.csv.gz"]


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "LARGE", 1 << 20)
    path = tmp_path / "export.csv"
    for pack in (gzip.compress, in_zip):
        path.write_bytes(pack(b"0" * (8 << 20)))
        with pytest.raises(FileError, match="300 times its size"):
            as_csv(path, tmp_path)


def test_a_packed_file_without_room_on_the_disk_is_no_bad_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = archive_module.shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(archive_module.shutil, "disk_usage", lambda _: usage)
    path = tmp_path / "export.csv"
    for pack in (gzip.compress, in_zip):
        path.write_bytes(pack(b"id\n" * 100))
        with pytest.raises(NoSpace, match="300 bytes of disk"):
            as_csv(path, tmp_path)
