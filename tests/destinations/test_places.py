"""A place that cannot be locked, read or written is one sentence that says why."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from destinations.conftest import STREAM
from support.exported import export
from tap_autodesk_exports.destinations import files
from tap_autodesk_exports.destinations.address import destination_of
from tap_autodesk_exports.destinations.destination import DestinationError
from tap_autodesk_exports.destinations.storage import LocalFolder, usable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from destinations.conftest import Source

KINDS = ("x.csv", "x.jsonl.gz", "folder/", "x.duckdb", "sqlite:///x.db")
ID = "00000000-0000-4000-8000-000000000001"


def at(folder: Path | str, kind: str) -> str:
    return f"sqlite:///{folder}/x.db" if kind.startswith("sqlite") else f"{folder}/{kind}"


def opened(address: str) -> None:
    """Open a destination as an export does, and close it."""
    destination = destination_of(address)
    destination.open()
    try:
        destination.read_state()
    finally:
        destination.close()


def mounted(folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    yield from mounted(tmp_path / "read-only", "ro")


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    for folder in mounted(tmp_path / "full", "size=64k"):
        with (folder / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:  # until no space is left
                file.write(bytes(4096))
        yield folder


@pytest.mark.parametrize("kind", KINDS)
def test_where_no_file_can_be_made_nobody_else_is_blamed(kind):
    if not Path("/proc/self").exists():
        pytest.skip("there is no /proc here")
    with pytest.raises(DestinationError, match=r"cannot be read or written \(No such file"):
        opened(at("/proc", kind))


@pytest.mark.parametrize("kind", KINDS)
def test_a_read_only_folder_is_a_sentence(kind, read_only):
    with pytest.raises(DestinationError, match=r"cannot be read or written \(Read-only"):
        opened(at(read_only, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_is_a_sentence(kind, full, source: Source):
    source.write([{"id": ID}])
    try:
        run = export(source.sandbox, at(full, kind), STREAM, config=source.config())
    except DestinationError as error:
        said = str(error)
    else:
        assert run.code == 1
        said = run.log
    assert "No space left" in said or "disk is full" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_in_place_of_a_folder_is_a_sentence(kind, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DestinationError, match="there is a file where a folder is needed"):
        opened(at(tmp_path / "file", kind))
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_that_is_too_long_is_a_sentence(kind, tmp_path):
    with pytest.raises(DestinationError, match="cannot be read or written"):
        opened(at(tmp_path / ("x" * 300), kind))


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.parquet", "x.duckdb"])
def test_a_folder_is_not_taken_for_a_file_of_its_name(name, tmp_path):
    folder = tmp_path / name
    folder.mkdir()
    with pytest.raises(DestinationError, match=r"is a folder: write '.*/' to have"):
        destination_of(str(folder))
    assert isinstance(destination_of(f"{folder}/"), files.FileDestination)
    assert not list(folder.iterdir())


def test_a_database_file_that_is_a_folder_is_a_sentence(tmp_path):
    (tmp_path / "x.db").mkdir()
    with pytest.raises(DestinationError, match="there is a folder where a file is needed"):
        opened(f"sqlite:///{tmp_path}/x.db")


@pytest.mark.parametrize(("name", "word"), [("x.duckdb", "is no DuckDB"), ("x.db", "not a data")])
def test_a_file_that_is_no_database_is_a_sentence(name, word, tmp_path):
    path = tmp_path / name
    path.write_text("mine" * 3000)
    with pytest.raises(DestinationError, match=word):
        opened(str(path) if name == "x.duckdb" else f"sqlite:///{path}")
    assert path.read_text() == "mine" * 3000


OWN = (".x.csv.lock", ".x.csv.state.json.new", "x.csv.state.json", "x.csv.state.json.next")


@pytest.mark.parametrize(
    ("name", "make"),
    [*((name, Path.mkdir) for name in OWN), *((name, os.mkfifo) for name in OWN[2:])],
)
def test_what_is_in_the_place_of_its_own_files_is_a_sentence(name, make, tmp_path, source: Source):
    """Nor is a pipe waited for."""
    make(tmp_path / name)
    source.write([{"id": ID}])
    try:
        said = export(source.sandbox, tmp_path / "x.csv", STREAM, config=source.config()).log
    except DestinationError as error:
        said = str(error)
    assert "there is a folder where a file is needed" in said or "it is no file" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("name", ["x.duckdb", "x.db"])
def test_the_folder_of_a_database_file_is_made(name, tmp_path):
    path = tmp_path / "new" / "folder" / name
    opened(str(path) if name == "x.duckdb" else f"sqlite:///{path}")
    assert path.parent.is_dir()


def test_a_lock_that_another_holds_is_still_another_export(tmp_path):
    first, second = (LocalFolder(tmp_path, ".lock") for _ in range(2))
    first.open()
    with pytest.raises(DestinationError, match="Another export is writing into"):
        second.open()
    first.close()
    second.open()
    second.close()


def test_what_a_bucket_refuses_is_a_sentence_without_its_words():
    class ClientError(Exception):
        """As packages of buckets raise."""

    with (
        pytest.raises(DestinationError, match=r"s3://b cannot .* \(ClientError\)") as caught,
        usable("s3://b"),
    ):
        raise ClientError("s3cret")
    assert "s3cret" not in str(caught.value)
    with pytest.raises(DestinationError, match="Permission denied"), usable("s3://b"):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    with pytest.raises(KeyError), usable("s3://b"):  # a mistake of ours is not hidden
        raise KeyError
