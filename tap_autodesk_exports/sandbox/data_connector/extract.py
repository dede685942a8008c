"""The files of a Data Connector extract, written to disk the first time they are requested."""

from __future__ import annotations

import csv
import dataclasses
import io
import shutil
import zipfile
from typing import TYPE_CHECKING

from tap_autodesk_exports.sandbox.data.dialect import WITHOUT_BOM, document, line, timestamp
from tap_autodesk_exports.sandbox.data_connector import documents
from tap_autodesk_exports.sandbox.record import Served
from tap_autodesk_exports.sandbox.storage import StoredFile

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable
    from pathlib import Path

    from tap_autodesk_exports.sandbox.data.rows import Snapshot
    from tap_autodesk_exports.sandbox.data.tables import Tables

ZIP_NAME = "autodesk_data_extract.zip"
METADATA = ("created_at", "region", "request_start_date", "request_end_date")


@dataclasses.dataclass(frozen=True)
class Content:
    """What an extract holds."""

    groups: tuple[str, ...]
    snapshot: Snapshot
    asked: tuple[dt.datetime, dt.datetime] | None = None


def make(job_id: str, content: Content, tables: Tables, folder: Path) -> dict[str, StoredFile]:
    """Make the files of generated data; return them by name, as the data listing shows them."""
    folder.mkdir(parents=True, exist_ok=True)
    served = []
    for name, table in tables.registry.items():
        if table.group in content.groups:
            rows = list(tables.rows(name, content.snapshot))
            path = folder / f"{name}.csv"
            path.write_bytes(document(list(table.columns), rows, bom=name not in WITHOUT_BOM))
            served.append(Served("data_connector", name, job_id, path.name, len(rows), path))
    begin, end = (timestamp(at) for at in content.asked) if content.asked else (None, None)
    created = timestamp(content.snapshot.now.replace(microsecond=0))
    metadata = line(METADATA) + line((created, "US", begin, end))
    extra = documents.schema_files(tables.registry, content.groups)
    return _bundle(job_id, served, folder, {**extra, "metadata.csv": metadata.encode()})


def copy(job_id: str, groups: Iterable[str], source: Path, folder: Path) -> dict[str, StoredFile]:
    """Take the CSV files of `groups` from a folder, byte for byte; return them by name."""
    folder.mkdir(parents=True, exist_ok=True)
    served = []
    for found in sorted(source.glob("*.csv")):
        if found.stem.partition("_")[0] in groups:
            path = folder / found.name
            shutil.copyfile(found, path)
            rows = count_rows(path)
            served.append(Served("data_connector", path.stem, job_id, path.name, rows, path))
    metadata = source / "metadata.csv"
    extra: dict[str, str | bytes] = {}
    if metadata.exists():
        extra["metadata.csv"] = metadata.read_bytes()
    return _bundle(job_id, served, folder, extra)


def count_rows(path: Path) -> int:
    """Count the records of a CSV file below its header."""
    text = path.read_text(encoding="utf-8-sig")
    return max(0, sum(1 for _ in csv.reader(io.StringIO(text, newline=""), strict=True)) - 1)


def _bundle(
    job_id: str, served: list[Served], folder: Path, extra: dict[str, str | bytes]
) -> dict[str, StoredFile]:
    """Add README.html and the ZIP of everything; a ZIP counts as served with all its tables."""
    readme = folder / "README.html"
    readme.write_text(documents.readme(table.name for table in served), encoding="utf-8")
    archive = folder / ZIP_NAME
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        target.write(readme, readme.name)
        for name, data in extra.items():
            target.writestr(name, data)
        for table in served:
            target.write(str(table.path), table.name)
    files = {table.name: _file(job_id, folder / table.name, (table,)) for table in served}
    for path, inside in ((readme, ()), (archive, tuple(served))):
        itself = Served("data_connector", path.stem, job_id, path.name, 0, path)
        kind = "application/zip" if inside else "text/html"
        files[path.name] = _file(job_id, path, (itself, *inside), kind)
    return dict(sorted(files.items()))


def _file(
    job_id: str, path: Path, tables: tuple[Served, ...], content_type: str = "text/csv"
) -> StoredFile:
    return StoredFile("data_connector", job_id, path, tables, content_type)
