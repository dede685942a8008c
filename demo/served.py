# ruff: noqa: INP001 - beside a script
"""What a sandbox has served, stream by stream, for the demo and the end-to-end tests."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import requests

LISTS = {
    ("insights", "contexts"): "insights_contexts",
    ("insights", "exports"): "insights_exports",
    ("tokenflex", "contracts"): "tokenflex_contracts",
    ("tokenflex", "contract"): "tokenflex_contract_years",
    ("tokenflex", "enrichment"): "tokenflex_enrichments",
    ("tokenflex", "summary"): "tokenflex_usage_summary",
    ("tokenflex", "last"): "tokenflex_last_usage",
    ("tokenflex", "requests"): "tokenflex_export_requests",
    ("data_connector", "requests"): "data_connector_requests",
    ("data_connector", "jobs"): "data_connector_jobs",
    ("data_connector", "listing"): "data_connector_files",
}
"""What the sandbox answers at once -> the stream that holds it."""
NO_TABLES = {"insights_usage_report_filters", "README", "autodesk_data_extract"}


@dataclasses.dataclass
class Served:
    """What was served of one stream.

    Attributes:
        rows: Number of rows; of a list, as it was asked for last.
        files: The files that held them, as they were sent; none for a list.
        answers: Of a list, its numbers of rows at all the times when it was asked for.
    """

    rows: int = 0
    files: list[Path] = dataclasses.field(default_factory=list)
    answers: set[int] = dataclasses.field(default_factory=set)

    def agrees(self, loaded: int) -> bool:
        """Tell whether a number of rows is what was served.

        A list grows during a run, which also asks for it to find its own exports: any of its
        answers may be the one that was loaded.
        """
        return loaded in self.answers if self.answers else loaded == self.rows


def by_stream(url: str, token: str) -> dict[str, Served]:
    """Ask the sandbox at `url`, with its token, what it has served.

    A file that was fetched twice counts once.
    """
    headers = {"Authorization": f"Bearer {token}"}
    exports = requests.get(f"{url}/sandbox/exports", headers=headers, timeout=60).json()
    names = {export["id"]: str(export["body"].get("downloadFileName")) for export in exports}
    streams: dict[str, Served] = {}
    seen: set[tuple[str, str, str]] = set()
    for entry in requests.get(f"{url}/sandbox/served", headers=headers, timeout=60).json():
        api, kind, export_id = entry["api"], entry["kind"], entry["export_id"]
        if export_id is None:
            if (api, kind) in LISTS:
                of_list = streams.setdefault(LISTS[api, kind], Served())
                of_list.rows = entry["rows"]
                of_list.answers.add(entry["rows"])
            continue
        stream = {
            "insights": f"insights_{kind.lower()}",
            "tokenflex": names.get(export_id, "").partition("-")[0],  # stream-moment.csv
            "data_connector": kind,
        }[api]
        if stream in NO_TABLES or (export_id, kind, entry["name"]) in seen:
            continue
        seen.add((export_id, kind, entry["name"]))
        served = streams.setdefault(stream, Served())
        served.rows += entry["rows"]
        served.files.append(Path(entry["path"]))
    return streams
