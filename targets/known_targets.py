"""The targets of the page: how each is run, read and set up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stores import CSV, S3, DuckDB, JSONLines, Parquet, Postgres, SQLite
from target import Target, Way

if TYPE_CHECKING:
    from target import Place

SCHEMA = "autodesk"
GZIP = "jsonl+gzip"
AS_IT_COMES = Way("as it comes")


def _postgres(place: Place) -> dict[str, Any]:
    return {
        "sqlalchemy_url": f"postgresql+psycopg://postgres@/postgres?host={place.postgres}",
        "default_target_schema": place.name,
        "hard_delete": True,
    }


def _pipelinewise_postgres(place: Place) -> dict[str, Any]:
    return {
        "host": str(place.postgres),
        "port": 5432,
        "user": "postgres",
        "password": "any",
        "dbname": "postgres",
        "default_target_schema": place.name,
        "hard_delete": True,
    }


def _s3(place: Place) -> dict[str, Any]:
    return {
        "cloud_provider": {
            "cloud_provider_type": "aws",
            "aws": {
                "aws_access_key_id": "any",
                "aws_secret_access_key": "any",
                "aws_region": "us-east-1",
                "aws_bucket": place.name,
                "aws_endpoint_override": place.s3,
            },
        },
    }


TARGETS = (
    Target(
        name="target-postgres",
        package="meltanolabs-target-postgres",
        executable="target-postgres",
        store="PostgreSQL",
        config=_postgres,
        read=lambda place: Postgres(place.postgres, place.name),
        ways=(
            AS_IT_COMES,
            Way("`use_copy: true`", {"use_copy": True}),
            Way("`validate_records: false`", {"validate_records": False}),
            Way("BATCH jsonl+gzip", {"validate_records": False}, GZIP),
        ),
        connection={
            "host": "localhost",
            "user": "loader",
            "database": "warehouse",
            "default_target_schema": SCHEMA,
        },
    ),
    Target(
        name="pipelinewise-target-postgres",
        package="pipelinewise-target-postgres",
        executable="target-postgres",
        store="PostgreSQL",
        config=_pipelinewise_postgres,
        read=lambda place: Postgres(place.postgres, place.name),
        ways=(AS_IT_COMES,),
        connection={
            "host": "localhost",
            "port": 5432,
            "user": "loader",
            "dbname": "warehouse",
            "default_target_schema": SCHEMA,
        },
    ),
    Target(
        name="target-duckdb",
        package="target-duckdb",
        executable="target-duckdb",
        store="DuckDB",
        config=lambda place: {
            "path": str(place.folder / "warehouse.duckdb"),
            "default_target_schema": SCHEMA,
            "hard_delete": True,
        },
        read=lambda place: DuckDB(place.folder / "warehouse.duckdb", SCHEMA),
        ways=(AS_IT_COMES, Way("`add_metadata_columns: true`", {"add_metadata_columns": True})),
        connection={"path": "warehouse.duckdb", "default_target_schema": SCHEMA},
        pins=("duckdb==1.0.0",),
    ),
    Target(
        name="target-sqlite",
        package="target-sqlite",
        executable="target-sqlite",
        store="SQLite",
        config=lambda place: {"database": str(place.folder / "warehouse")},
        read=lambda place: SQLite(place.folder / "warehouse.db"),
        ways=(AS_IT_COMES,),
        connection={"database": "warehouse"},
    ),
    Target(
        name="target-jsonl",
        package="target-jsonl",
        executable="target-jsonl",
        store="JSON lines",
        config=lambda place: {
            "destination_path": str(place.folder),
            "do_timestamp_file": False,
        },
        read=lambda place: JSONLines(place.folder),
        ways=(AS_IT_COMES,),
        connection={"destination_path": "output", "do_timestamp_file": False},
    ),
    Target(
        name="target-csv",
        package="meltanolabs-target-csv",
        executable="target-csv",
        store="CSV",
        config=lambda place: {"output_path": str(place.folder)},
        read=lambda place: CSV(place.folder),
        ways=(AS_IT_COMES, Way("`validate_records: false`", {"validate_records": False})),
        connection={"output_path": "output"},
    ),
    Target(
        name="plinxore-target-s3",
        package="plinxore-target-s3",
        executable="target-s3",
        store="Parquet on S3 (moto)",
        config=lambda place: {**_s3(place), "format": {"format_type": "parquet"}},
        read=lambda place: S3(place.s3, place.name, place.folder / "read"),
        ways=(
            AS_IT_COMES,
            Way(
                "columns typed by the schema",
                {
                    "format": {
                        "format_type": "parquet",
                        "format_parquet": {"get_schema_from_tap": True},
                    }
                },
            ),
        ),
        connection={
            "cloud_provider": {
                "cloud_provider_type": "aws",
                "aws": {"aws_region": "eu-central-1", "aws_bucket": "warehouse"},
            }
        },
    ),
    Target(
        name="target-parquet",
        package="target-parquet",
        executable="target-parquet",
        store="Parquet",
        config=lambda place: {"destination_path": str(place.folder), "disable_collection": True},
        read=lambda place: Parquet(place.folder),
        ways=(AS_IT_COMES,),
        connection={"destination_path": "output"},
    ),
    Target(
        name="target-snowflake",
        package="meltanolabs-target-snowflake",
        executable="target-snowflake",
        store="Snowflake (fakesnow)",
        config=lambda _: {
            "account": "any",
            "user": "any",
            "password": "any",
            "database": "WAREHOUSE",
            "warehouse": "any",
            "default_target_schema": SCHEMA,
            "hard_delete": True,
            "clean_up_batch_files": False,
        },
        read=lambda place: DuckDB(place.folder / "WAREHOUSE.db", SCHEMA),
        ways=(
            AS_IT_COMES,
            Way("`validate_records: false`", {"validate_records": False}),
            Way("BATCH jsonl+gzip", {"validate_records": False}, GZIP),
        ),
        connection={
            "account": "YOUR-ACCOUNT",
            "user": "LOADER",
            "database": "WAREHOUSE",
            "warehouse": "LOADING",
            "default_target_schema": SCHEMA,
        },
        emulator="emulated_snowflake.py",
    ),
)
