"""What the sandbox holds at the end, by way of its own plain exports and not of the tap."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from end_to_end import independent_reading
from end_to_end.warehouses import postgres_tables
from support.sandbox_client import Client
from tap_autodesk_exports.autodesk.data_connector.date_ranges import FIRST_DAY
from tap_autodesk_exports.autodesk.tokenflex import datasets as tokenflex
from tap_autodesk_exports.sandbox.data.dialect import document
from tap_autodesk_exports.sandbox.data.rows import Snapshot
from tap_autodesk_exports.tables.layout import type_of
from tap_autodesk_exports.tap import TapAutodeskExports
from year.simulation import LABELS

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from year.simulation import Year

ADDED = {"team_id", "contract_number", "_export_id", "_exported_at", "_rescued_data", "_row_id"}
SNAPSHOTS = {"insights_users"}
"""Streams of which every run loads all rows, so that all have the names of today."""
TOKENFLEX = {dataset.name: dataset for dataset in tokenflex.DATASETS}


def differences(year: Year, streams: tuple[str, ...], start: dt.datetime) -> list[str]:
    """Compare the warehouse with the truth, row by row and cell by cell; tell what differs."""
    now = year.server.clock.now()
    with year.postgres.connect() as connection:
        loaded = postgres_tables(connection, year.schema)
    found = []
    for stream in streams:
        types = column_types(year, stream)
        shown = {name for name in types if name not in LABELS or stream in SNAPSHOTS}
        expected = Counter(
            comparable(row, shown)
            for path in files(year, stream, start, now)
            for row in independent_reading.rows(path, types)
        )
        got = Counter(
            comparable({name: row[name.lower()] for name in [*types, "_rescued_data"]}, shown)
            for row in loaded.get(stream, [])
        )
        if expected != got or not got:
            lost, added = expected - got, got - expected
            found.append(
                f"{stream}: {sum(got.values())} rows loaded, {sum(lost.values())} missing such as "
                f"{next(iter(lost), '')}, {sum(added.values())} too many such as "
                f"{next(iter(added), '')}"
            )
    return found


def column_types(year: Year, stream: str) -> dict[str, str]:
    config = {**year.server.settings(), **year.config(year.runs - 1)}
    config["data_connector_service_groups"] = [stream.partition("_")[0]]
    schema = TapAutodeskExports(config=config).streams[stream].schema["properties"]
    return {name: type_of(entry).value for name, entry in schema.items() if name not in ADDED}


def comparable(row: dict[str, Any], shown: set[str]) -> str:
    values = {name: row[name] for name in shown} | {"_rescued_data": row["_rescued_data"]}
    # The warehouse has a whole number where the source has the decimal 7.
    values = {name: f"{value}" if type(value) is int else value for name, value in values.items()}
    return json.dumps(values, default=lambda value: f"{value}".removesuffix(".0"), sort_keys=True)


def files(year: Year, stream: str, start: dt.datetime, now: dt.datetime) -> list[Path]:
    if stream in TOKENFLEX:
        return tokenflex_files(year, stream, start)
    if stream.startswith("insights"):
        return insights_files(year, stream, start, now)
    tables = year.server.data_connector.tables[year.server.account_id]
    # Changes come whole the first time.
    snapshot = Snapshot(now, activities=(start, now), changes=(FIRST_DAY, now))
    content = document(
        list(tables.registry[stream].columns), tables.rows(stream, snapshot), bom=True
    )
    path = year.folder / f"truth-{stream}.csv"
    path.write_bytes(content)
    return [path]


def insights_files(year: Year, stream: str, start: dt.datetime, now: dt.datetime) -> list[Path]:
    client = Client(year.server)
    report = stream.removeprefix("insights_").upper()
    teams = [
        team["contextId"]
        for team in client.get("/insights/v1/contexts")
        if "ReportingAPIAccess" in team["reportingBenefits"]
    ]
    paths = []
    for team in teams:
        dates = {"startDate": f"{start:%Y-%m-%dT00:00:00Z}", "endDate": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
        body = {"teamId": team, "outputFormat": "CSV", "reports": [report]}
        export = client.insights(**body, **(dates if report == "USAGE" else {}))
        (download,) = export["downloads"]
        path = year.folder / f"truth-{stream}-{team}.csv"
        path.write_bytes(client.fetch(download["downloadURL"]).content)
        paths.append(path)
    return paths


def tokenflex_files(year: Year, stream: str, start: dt.datetime) -> list[Path]:
    client = Client(year.server)
    number, asked = client.contract(), TOKENFLEX[stream]
    body: dict[str, Any] = {
        "fields": list(asked.fields),
        "metrics": list(asked.metrics),
        "usageCategory": list(asked.usage_category or ()),
    }
    if asked is not tokenflex.MANUAL_USAGE:
        body["where"] = f"usageDate >= '{start:%Y-%m-%d}'"
    key = client.tokenflex(number, **body)
    client.wait()
    path = year.folder / f"truth-{stream}.csv"
    path.write_bytes(client.fetch(client.get(key)["downloadUrl"]).content)
    return [path]
