"""The files of a Data Connector extract, written to disk the first time they are requested."""

from __future__ import annotations

import csv
import dataclasses
import io
import zipfile
from typing import TYPE_CHECKING

from tap_autodesk_exports.sandbox.data.dialect import WITHOUT_BOM, document, line, timestamp
from tap_autodesk_exports.sandbox.data_connector import documents
from tap_autodesk_exports.sandbox.record import Served
from tap_autodesk_exports.sandbox.storage import StoredFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tap_autodesk_exports.sandbox.data.rows import Snapshot
    from tap_autodesk_exports.sandbox.data.tables import Tables
    from tap_autodesk_exports.sandbox.data_connector.ranges import Period
    from tap_autodesk_exports.sandbox.timeline import Flaws

ZIP_NAME = "autodesk_data_extract.zip"
FOLDER = "data/"
METADATA = ("created_at", "region", "request_start_date", "request_end_date")


@dataclasses.dataclass(frozen=True)
class Content:
    """What an extract holds, and what is wrong with it.

    Attributes:
        job_id: The job that makes it.
        groups: The service groups that it holds.
        zip_files: File -> how it differs in the ZIP (see the switches).
        single_files: File -> how it differs where it is downloaded alone (see the switches).
        flaws: What faults do to it.
    """

    job_id: str
    groups: tuple[str, ...]
    zip_files: Mapping[str, str]
    single_files: Mapping[str, str]
    flaws: Flaws


@dataclasses.dataclass(frozen=True)
class Extract:
    """The files that can be downloaded, and the sizes of all files that the data listing shows."""

    files: Mapping[str, StoredFile]
    sizes: Mapping[str, int]


def listed(sizes: Mapping[str, int], how: str) -> Mapping[str, int]:
    """Return the names and sizes of a data listing (see the switch `listing`)."""
    match how:
        case "zip_only":
            return {name: size for name, size in sizes.items() if name == ZIP_NAME}
        case "readme_only":
            return {name: size for name, size in sizes.items() if name.endswith(".html")}
        case "folder":
            return {
                f"{FOLDER}{name}" if name.endswith(".csv") else name: size
                for name, size in sizes.items()
            }
        case "numbered":
            tables = {name: size for name, size in sizes.items() if name.endswith(".csv")}
            return {**sizes, **{n.replace(".csv", " (2).csv"): s for n, s in tables.items()}}
        case _:
            return sizes


def make(
    content: Content, snapshot: Snapshot, asked: Period | None, tables: Tables, folder: Path
) -> Extract:
    """Make the files of generated data."""
    folder.mkdir(parents=True, exist_ok=True)
    served = []
    for name, table in tables.registry.items():
        if table.group in content.groups:
            rows = list(tables.rows(name, snapshot))
            data = document(list(table.columns), rows, bom=name not in WITHOUT_BOM)
            served.append(_served(content, folder / f"{name}.csv", data, len(rows)))
    begin, end = (timestamp(at) for at in asked) if asked else (None, None)
    created = timestamp(snapshot.now.replace(microsecond=0))
    metadata = line(METADATA) + line((created, "US", begin, end))
    extra = documents.schema_files(tables.registry, content.groups)
    return _bundle(content, served, folder, {**extra, "metadata.csv": metadata.encode()})


def copy(content: Content, source: Path, folder: Path) -> Extract:
    """Take the CSV files from a folder, byte for byte."""
    folder.mkdir(parents=True, exist_ok=True)
    served = []
    for found in sorted(source.glob("*.csv")):
        if found.stem.partition("_")[0] in content.groups:
            data = found.read_bytes()
            served.append(_served(content, folder / found.name, data, count_rows(data)))
    metadata = source / "metadata.csv"
    extra: dict[str, str | bytes] = {}
    if metadata.exists():
        extra["metadata.csv"] = metadata.read_bytes()
    return _bundle(content, served, folder, extra)


def _served(content: Content, path: Path, data: bytes, rows: int) -> Served:
    """Write a table's file."""
    if words := content.flaws.words:
        data, rows = f"{words}\n".encode(), 0
    path.write_bytes(data)
    return Served("data_connector", path.stem, content.job_id, path.name, rows, path)


def count_rows(data: bytes) -> int:
    """Count the records of a CSV file below its header."""
    text = data.decode("utf-8-sig")
    return max(0, sum(1 for _ in csv.reader(io.StringIO(text, newline=""), strict=True)) - 1)


def _bundle(
    content: Content, served: list[Served], folder: Path, extra: Mapping[str, str | bytes]
) -> Extract:
    """Add README.html and the ZIP of everything; a ZIP counts as served with all its tables."""
    readme = folder / "README.html"
    readme.write_text(documents.readme(table.name for table in served), encoding="utf-8")
    archive = folder / ZIP_NAME
    inside = []
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        target.write(readme, readme.name)
        for name, data in extra.items():
            target.writestr(name, data)
        for table in served:
            inside += _zip(target, table, content.zip_files.get(table.name, ""), folder)
    paths = [readme, archive, *(folder / table.name for table in served)]
    files = {}
    for table in served:
        how = content.single_files.get(table.name, "")
        if how != "missing":
            single = _altered(table, how, folder / "single") if how else table
            files[table.name] = _file(content, folder / "single" if how else folder, (single,))
    for path, tables in ((readme, ()), (archive, tuple(inside))):
        itself = Served("data_connector", path.stem, content.job_id, path.name, 0, path)
        kind = "application/zip" if tables else "text/html"
        files[path.name] = _file(content, folder, (itself, *tables), kind)
    sizes = {path.name: path.stat().st_size for path in sorted(paths, key=lambda path: path.name)}
    return Extract(files, sizes)


def _zip(target: zipfile.ZipFile, table: Served, how: str, folder: Path) -> list[Served]:
    """Add a table to the ZIP; return what is served of it."""
    match how:
        case "missing":
            return []
        case "upper_case":
            target.write(str(table.path), table.name.upper())
            return [table]
        case "twice" | "twice_differing":
            first = table if how == "twice" else _altered(table, "half", folder / "zip")
            target.write(str(first.path), table.name)
            # Python's ZipFile warns of a name that it knows already.
            del target.NameToInfo[table.name]
            target.write(str(table.path), table.name)
            return [table]
        case _:
            shown = _altered(table, how, folder / "zip") if how else table
            target.write(str(shown.path), table.name)
            return [shown]


def _altered(table: Served, how: str, folder: Path) -> Served:
    """Write another version of a table's file into `folder`."""
    if table.path is None:
        msg = f"{table.name} has no file"
        raise ValueError(msg)
    data = table.path.read_bytes()
    records = _records(data)
    match how:
        case "shorter":
            data = data[: len(data) * 2 // 3]
        case "longer":
            data += records[-1]
        case "half":
            data = b"".join(records[: (len(records) + 1) // 2])
        case "header_only":
            data = records[0]
        case _:
            msg = f"A file of an extract cannot be {how!r}."
            raise ValueError(msg)
    folder.mkdir(exist_ok=True)
    path = folder / table.name
    path.write_bytes(data)
    rows = table.rows if how == "shorter" else len(_records(data)) - 1
    return dataclasses.replace(table, path=path, rows=rows)


def _records(data: bytes) -> list[bytes]:
    """Split a file at the ends of its records."""
    records, open_quotes = [b""], 0
    for part in data.splitlines(keepends=True):
        if open_quotes % 2 == 0 and records[-1]:
            records.append(b"")
        records[-1] += part
        open_quotes = records[-1].count(b'"')
    return records


def _file(
    content: Content, folder: Path, tables: tuple[Served, ...], content_type: str = "text/csv"
) -> StoredFile:
    status = content.flaws.link_status
    path = folder / tables[0].name
    return StoredFile("data_connector", content.job_id, path, tables, content_type, status)
