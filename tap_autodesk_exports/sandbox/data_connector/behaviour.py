"""The switches of the Data Connector API."""

from __future__ import annotations

import dataclasses
from typing import Any

from tap_autodesk_exports.sandbox.behaviour import Behaviour, one_of
from tap_autodesk_exports.sandbox.paging import paging_field

JOBS_PER_DAY = 24
JOBS_PER_USER = 24


@dataclasses.dataclass(eq=False)
class DataConnectorBehaviour(Behaviour):
    """The switches of the Data Connector API.

    Attributes:
        jobs_per_day: The quota of jobs of an account within 24 hours (documented: 24).
        jobs_per_user: The quota of jobs of the user within 24 hours, in all accounts together
            (documented: 24).
        closed: Accounts that the user may not see.
        kept_days: How long extracts can be downloaded (documented: 30 days).
        listed_after: Seconds until a new request, and a new job, appears in the account's lists.
        paging: How the lists are paged: see `sandbox/paging.py`.
        project_lists: The form of `projectIdList` in answers: `mixed` (text on a request, an array
            on a job; both forms are documented), `text` (JSON in a string) or `array` on both.
        change_versions: Whether the change groups hold every version of a row within the range,
            not just the last one (not documented).
        zip_files: File of an extract -> how the ZIP differs from the data listing: `missing`,
            `upper_case` (its name), `twice`, `twice_differing` (with half of its rows at first),
            `shorter` (cut in the middle of a line), `half` (of its rows) or `header_only`.
        single_files: File of an extract -> how the file that its link leads to differs from the
            data listing: `missing` (no link), `shorter`, `longer`, `half` or `header_only`.
        listing: What the data listing names: `files` (documented), `zip_only` (observed in an older
            layout), `readme_only`, `folder` (each table in a folder), or `numbered` (each table
            twice, the second time as `x (2).csv`). The ZIP is the same in each of them.
        published_schema: `observed`: the index of `/doc` names more than service groups, watermarks
            are text of epoch seconds, change groups are published without `adsk_updated_at`.
            `groups_only`: the index names service groups only and no beta group of 2025
            (`cdcv2admin`), watermarks are dates, change groups have all their columns.
        schema_changes: Further entries of `/doc/changes`, in the documented shape.
    """

    jobs_per_day: int = JOBS_PER_DAY
    jobs_per_user: int = JOBS_PER_USER
    closed: set[str] = dataclasses.field(default_factory=set)
    kept_days: float = 30.0
    listed_after: float = 0.0
    paging: str = paging_field()
    project_lists: str = one_of("mixed", "text", "array")
    change_versions: bool = False
    zip_files: dict[str, str] = dataclasses.field(default_factory=dict)
    single_files: dict[str, str] = dataclasses.field(default_factory=dict)
    listing: str = one_of("files", "zip_only", "readme_only", "folder", "numbered")
    published_schema: str = one_of("observed", "groups_only")
    schema_changes: list[dict[str, Any]] = dataclasses.field(default_factory=list)
