"""What `--to` may be, and the destination that it names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tap_autodesk_exports.destinations import adbc
from tap_autodesk_exports.destinations.destination import STATE_NAME, DestinationError
from tap_autodesk_exports.destinations.duckdb_file import DuckDBFile
from tap_autodesk_exports.destinations.files import FORMATS, folder_of_parquet, one_file
from tap_autodesk_exports.destinations.storage import Bucket, LocalFolder, usable
from tap_autodesk_exports.redaction import without_secrets
from tap_autodesk_exports.settings.storages import EXTRAS

if TYPE_CHECKING:
    from tap_autodesk_exports.destinations.destination import Destination

DRIVERS = {
    "postgresql": adbc.POSTGRES,
    "postgres": adbc.POSTGRES,
    "sqlite": adbc.SQLITE,
    "snowflake": adbc.SNOWFLAKE,
    "bigquery": adbc.BIGQUERY,
}
DUCKDB = ".duckdb"
STORAGES = {**EXTRAS, "file": ""}
"""Scheme -> the extra that it needs."""
FORMS = (
    "a file (x.csv, x.jsonl, x.jsonl.gz, x.parquet), a folder for Parquet files (with a slash at "
    "its end, or one that exists), s3://…, gs://… or az://…, x.duckdb, postgresql://…, "
    "sqlite:///…, snowflake://… or bigquery://…"
)


def destination_of(address: str, schema: str | None = None) -> Destination:
    """Return the destination that an address names.

    Args:
        address: A path or a URL.
        schema: Schema of the tables in a database; None: its own default.

    Raises:
        DestinationError: It names none.
    """
    scheme, separator, rest = address.partition("://")
    if separator:
        if scheme in DRIVERS and rest:
            return adbc.AdbcDestination(DRIVERS[scheme], address, without_secrets(address), schema)
        if scheme in STORAGES and rest:
            return folder_of_parquet(Bucket(address, STORAGES[scheme]))
        msg = f"'{scheme}://' is no destination: give {FORMS}."
        raise DestinationError(msg)
    path = Path(address)
    suffix = next((each for each in (*FORMATS, DUCKDB) if path.name.endswith(each)), None)
    with usable(address):
        is_folder = path.is_dir()
    if address.endswith(("/", "\\")) or (is_folder and not suffix):
        return folder_of_parquet(LocalFolder(path, f".{STATE_NAME}.lock"))
    if is_folder:
        msg = (
            f"'{address}' is a folder: write '{address}/' to have a Parquet file for each stream "
            "in it, or name another file."
        )
        raise DestinationError(msg)
    if suffix is None:
        msg = f"'{address}' is no destination: give {FORMS}."
        raise DestinationError(msg)
    if suffix == DUCKDB:
        return DuckDBFile(path, schema)
    return one_file(path, suffix)
