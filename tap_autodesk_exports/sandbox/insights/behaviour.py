"""The switches of the Insights API."""

from __future__ import annotations

import dataclasses

from tap_autodesk_exports.sandbox.behaviour import Behaviour, one_of
from tap_autodesk_exports.sandbox.paging import paging_field


@dataclasses.dataclass(eq=False)
class InsightsBehaviour(Behaviour):
    """The switches of the Insights API.

    Attributes:
        columns: How files spell their columns. `snake` (observed in 2026), `title` (generation X of
            the help pages, all columns kept), `generation_x` and `generation_1` (just the columns
            that those generations list), `camel`, `words` (Team Alias) and `upper`.
        split_downloads: Whether USAGE and USAGE_REPORT come as two downloads of one type, seat rows
            and token rows; in a workbook, as two sheets with the same header (documented: "some
            export types produce multiple downloads"). USAGE then has `tokens_used` (observed).
        downloads: How answers list the downloads of an export: `as_made`, in the `other_order` with
            every look at it, `moved`: so too, and at other places in the storage, or `late`: the
            first look has just one of them (none is documented).
        mixed_access: Whether a person can use an offering by seat and by token: the usage report
            then has a row for each access option.
        token_rows_until: From this moment of the sandbox's clock (ISO 8601) the usage report has no
            token row for a person who has a seat row for the same offering. Empty: never.
        kept_days: How long exports are kept (documented: two weeks).
        listed_after: Seconds until a new export appears in the list.
        paging: How the list is paged: see `sandbox/paging.py`.
    """

    columns: str = one_of(
        "snake", "title", "generation_x", "generation_1", "camel", "words", "upper"
    )
    split_downloads: bool = False
    downloads: str = one_of("as_made", "other_order", "moved", "late")
    mixed_access: bool = False
    token_rows_until: str = ""
    kept_days: float = 14.0
    listed_after: float = 0.0
    paging: str = paging_field()
