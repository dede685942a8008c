"""The files of an Insights export: CSV, workbook, JSON.

Observed: one workbook holds all reports of an export in the order subscriptions, users, usage; the
usage report has its filters first, as a sheet of the workbook or as the first of two CSV files.
Assumed: the layout of the filters, JSON as an array of objects, dates in workbooks as real dates.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import openpyxl

from tap_autodesk_exports.sandbox.data.dialect import document
from tap_autodesk_exports.sandbox.data.reports import COLUMNS, TITLES
from tap_autodesk_exports.sandbox.record import Served
from tap_autodesk_exports.sandbox.storage import StoredFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tap_autodesk_exports.sandbox.data.reports import Value
    from tap_autodesk_exports.sandbox.insights.export import Export

    Rows = list[list[Value]]

FORMATS = {"CSV": "text/csv", "EXCEL": "application/vnd.ms-excel", "JSON": "application/json"}
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FILTERS = "USAGE_REPORT_FILTERS"
"""Kind under which the filter block of a usage report is recorded."""

SHEETS = {
    "en": ("Subscriptions", "Users", "Usage", "Usage Report", "Filters"),
    "de": ("Abonnements", "Benutzer", "Nutzung", "Nutzungsbericht", "Filter"),
    "fr": ("Abonnements", "Utilisateurs", "Utilisation", "Rapport d'utilisation", "Filtres"),
    "ja": ("サブスクリプション", "ユーザ", "使用状況", "使用状況レポート", "フィルタ"),
}


def write(
    export: Export, tables: Mapping[str, Rows], folder: Path, *, titles: bool
) -> list[tuple[str, StoredFile]]:
    """Write the files of an export into `folder`; return report name and file of each download."""
    headers = {
        report: [TITLES[report].get(c, c) if titles else c for c in COLUMNS[report]]
        for report in tables
    }
    match export.body["outputFormat"]:
        case "EXCEL":
            return [_workbook(export, tables, headers, folder)]
        case "JSON":
            return [
                _json(export, report, rows, headers[report], folder)
                for report, rows in tables.items()
            ]
        case _:
            return [
                file
                for report, rows in tables.items()
                for file in _csv(export, report, rows, headers[report], folder)
            ]


def _csv(
    export: Export, report: str, rows: Rows, header: list[str], folder: Path
) -> list[tuple[str, StoredFile]]:
    files = []
    if report == "USAGE_REPORT":
        path = folder / "usage_report_filters.csv"
        block = _filters(export)
        path.write_bytes(document(("Filter", "Value"), block, bom=False))
        files.append((report, _stored(export, path, ((FILTERS, len(block)),), "text/csv")))
    path = folder / f"{report.lower()}.csv"
    path.write_bytes(document(header, ([_text(v) for v in row] for row in rows), bom=False))
    return [*files, (report, _stored(export, path, ((report, len(rows)),), "text/csv"))]


def _json(
    export: Export, report: str, rows: Rows, header: list[str], folder: Path
) -> tuple[str, StoredFile]:
    path = folder / f"{report.lower()}.json"
    objects = [dict(zip(header, row, strict=True)) for row in rows]
    path.write_text(json.dumps(objects, default=_text, ensure_ascii=False), encoding="utf-8")
    return report, _stored(export, path, ((report, len(rows)),), "application/json")


def _workbook(
    export: Export, tables: Mapping[str, Rows], headers: Mapping[str, list[str]], folder: Path
) -> tuple[str, StoredFile]:
    names = dict(zip((*COLUMNS, FILTERS), SHEETS[_language(export)], strict=True))
    book = openpyxl.Workbook(write_only=True)
    for report in (report for report in COLUMNS if report in tables):
        if report == "USAGE_REPORT":
            sheet = book.create_sheet(names[FILTERS])
            for line in (["Filter", "Value"], *_filters(export)):
                sheet.append(line)
        sheet = book.create_sheet(names[report])
        sheet.append(headers[report])
        for row in tables[report]:
            sheet.append([_cell(value) for value in row])
    path = folder / "export.xlsx"
    book.save(path)
    kinds = tuple((report, len(rows)) for report, rows in tables.items())
    return export.body["reports"][0], _stored(export, path, kinds, XLSX)


def _language(export: Export) -> str:
    wanted = export.language[:2].lower()
    return wanted if wanted in SHEETS else "en"


def _filters(export: Export) -> list[list[str]]:
    body: dict[str, Any] = export.body
    shown = {
        "Teams": ", ".join(team.alias for team in export.teams),
        "Start date": body["startDate"],
        "End date": body["endDate"],
        **{name: json.dumps(value) for name, value in (body.get("filters") or {}).items()},
    }
    return [[name, value] for name, value in shown.items()]


def _stored(
    export: Export, path: Path, kinds: tuple[tuple[str, int], ...], content_type: str
) -> StoredFile:
    tables = tuple(
        Served("insights", kind, export.id, path.name, rows, path) for kind, rows in kinds
    )
    return StoredFile("insights", export.id, path, tables, content_type)


def _text(value: Value) -> str | None:
    """Write a value; an instant as `YYYY-MM-DD HH:MM` without a zone (observed)."""
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return None if value is None else str(value)


def _cell(value: Value) -> Value:
    """Return the value for a workbook, which knows no zones."""
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None, second=0, microsecond=0)
    return value
