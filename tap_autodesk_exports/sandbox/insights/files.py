"""The files of an Insights export: CSV, workbook, JSON.

Observed: one workbook holds all reports of an export in the order subscriptions, users, usage; the
usage report has its filters first, as a sheet of the workbook or as the first of two CSV files.
Assumed: the layout of the filters, JSON as an array of objects, dates in workbooks as real dates.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import openpyxl

from tap_autodesk_exports.sandbox.data.dialect import document
from tap_autodesk_exports.sandbox.data.reports import COLUMNS
from tap_autodesk_exports.sandbox.insights.columns import Header, header
from tap_autodesk_exports.sandbox.record import Served
from tap_autodesk_exports.sandbox.storage import StoredFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tap_autodesk_exports.sandbox.data.names import Names
    from tap_autodesk_exports.sandbox.data.reports import Line, Value
    from tap_autodesk_exports.sandbox.insights.behaviour import InsightsBehaviour
    from tap_autodesk_exports.sandbox.insights.export import Export

    Tables = Mapping[str, list[Line]]

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CONTENT_TYPES = {"CSV": "text/csv", "EXCEL": XLSX, "JSON": "application/json"}
"""Output format -> content type of its files."""
FILTERS = "USAGE_REPORT_FILTERS"
"""Kind under which the filter block of a usage report is recorded."""

SHEETS = {
    "en": ("Subscriptions", "Users", "Usage", "Usage Report", "Filters"),
    "de": ("Abonnements", "Benutzer", "Nutzung", "Nutzungsbericht", "Filter"),
    "fr": ("Abonnements", "Utilisateurs", "Utilisation", "Rapport d'utilisation", "Filtres"),
    "ja": ("サブスクリプション", "ユーザ", "使用状況", "使用状況レポート", "フィルタ"),
}


def write(
    export: Export, tables: Tables, folder: Path, names: Names, behaviour: InsightsBehaviour
) -> list[tuple[str, StoredFile]]:
    """Write the files of an export into `folder`; return report name and file of each download.

    Args:
        export: The export.
        tables: Report -> its rows.
        folder: An empty folder.
        names: Today's names.
        behaviour: How columns are spelled, and which reports come in two downloads.
    """
    if words := export.timeline.flaws.words:
        return _in_words(export, words, folder)
    parts = [part for report, lines in tables.items() for part in _parts(report, lines, behaviour)]
    match export.body["outputFormat"]:
        case "EXCEL":
            return [_workbook(export, parts, folder, names)]
        case "JSON":
            return [_json(export, part, folder) for part in parts]
        case _:
            return [file for part in parts for file in _csv(export, part, folder, names)]


@dataclasses.dataclass(frozen=True)
class _Part:
    """What one download, or one sheet, holds; `number` counts those of one report from 1."""

    report: str
    header: Header
    lines: list[Line]
    number: int = 1

    @property
    def rows(self) -> list[list[Value]]:
        """The cells in the order of the header."""
        return [[line.get(column) for column in self.header.columns] for line in self.lines]

    @property
    def stem(self) -> str:
        """Name of its file, without an extension."""
        return self.report.lower() + (f"_{self.number}" if self.number > 1 else "")


def _parts(report: str, lines: list[Line], behaviour: InsightsBehaviour) -> list[_Part]:
    if not behaviour.split_downloads or report not in {"USAGE", "USAGE_REPORT"}:
        return [_Part(report, header(report, behaviour.columns), lines)]
    extra = ("tokens_used",) if report == "USAGE" else ()
    shown = header(report, behaviour.columns, extra)
    seats = [line for line in lines if line["access_option"] != "Flex"]
    tokens = [line for line in lines if line["access_option"] == "Flex"]
    return [_Part(report, shown, seats), _Part(report, shown, tokens, 2)]


def _csv(export: Export, part: _Part, folder: Path, names: Names) -> list[tuple[str, StoredFile]]:
    files = []
    report = part.report
    if report == "USAGE_REPORT" and part.number == 1:
        path = folder / "usage_report_filters.csv"
        block = _filters(export, names)
        path.write_bytes(document(("Filter", "Value"), block, bom=False))
        files.append((report, _stored(export, path, {FILTERS: len(block)}, "text/csv")))
    path = folder / f"{part.stem}.csv"
    cells = [[_text(value) for value in row] for row in part.rows]
    path.write_bytes(document(part.header.shown, cells, bom=False))
    return [*files, (report, _stored(export, path, {report: len(cells)}, "text/csv"))]


def _json(export: Export, part: _Part, folder: Path) -> tuple[str, StoredFile]:
    path = folder / f"{part.stem}.json"
    objects = [dict(zip(part.header.shown, row, strict=True)) for row in part.rows]
    path.write_text(json.dumps(objects, default=_text, ensure_ascii=False), encoding="utf-8")
    stored = _stored(export, path, {part.report: len(objects)}, "application/json")
    return part.report, stored


def _workbook(
    export: Export, parts: list[_Part], folder: Path, names: Names
) -> tuple[str, StoredFile]:
    titles = dict(zip((*COLUMNS, FILTERS), SHEETS[_language(export)], strict=True))
    book = openpyxl.Workbook(write_only=True)
    kinds: Counter[str] = Counter()
    for part in sorted(parts, key=lambda part: list(COLUMNS).index(part.report)):
        if part.report == "USAGE_REPORT" and part.number == 1:
            sheet = book.create_sheet(titles[FILTERS])
            for line in (["Filter", "Value"], *_filters(export, names)):
                sheet.append(line)
        number = f" {part.number}" if part.number > 1 else ""
        sheet = book.create_sheet(titles[part.report] + number)
        sheet.append(part.header.shown)
        rows = part.rows
        for row in rows:
            sheet.append([_cell(value) for value in row])
        kinds[part.report] += len(rows)
    path = folder / "export.xlsx"
    book.save(path)
    return export.body["reports"][0], _stored(export, path, kinds, XLSX)


def _in_words(export: Export, words: str, folder: Path) -> list[tuple[str, StoredFile]]:
    """Write files that say in words that there are no data."""
    files = []
    kind = export.body["outputFormat"]
    for report in export.body["reports"]:
        path = folder / f"{report.lower()}.{'xlsx' if kind == 'EXCEL' else kind.lower()}"
        if kind == "EXCEL":
            book = openpyxl.Workbook(write_only=True)
            book.create_sheet("Sheet1").append([words])
            book.save(path)
        else:
            text = json.dumps({"message": words}) if kind == "JSON" else f"{words}\n"
            path.write_text(text, encoding="utf-8")
        files.append((report, _stored(export, path, {report: 0}, CONTENT_TYPES[kind])))
    return files[:1] if kind == "EXCEL" else files


def _language(export: Export) -> str:
    wanted = export.language[:2].lower()
    return wanted if wanted in SHEETS else "en"


def _filters(export: Export, names: Names) -> list[list[str]]:
    body: dict[str, Any] = export.body
    shown = {
        "Teams": ", ".join(names.team(team) for team in export.teams),
        "Start date": body["startDate"],
        "End date": body["endDate"],
        **{name: json.dumps(value) for name, value in (body.get("filters") or {}).items()},
    }
    return [[name, value] for name, value in shown.items()]


def _stored(export: Export, path: Path, rows: Mapping[str, int], content_type: str) -> StoredFile:
    tables = tuple(
        Served("insights", kind, export.id, path.name, count, path) for kind, count in rows.items()
    )
    status = export.timeline.flaws.link_status
    return StoredFile("insights", export.id, path, tables, content_type, status)


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
