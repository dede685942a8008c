"""Catalogs of a part of what is selected."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

    from tap_autodesk_exports.streams.selection import Patterns

    Catalog = dict[str, Any]


def apply(patterns: Patterns, catalog: Catalog) -> Catalog:
    """Return a catalog in which what the patterns select is selected, and nothing else."""
    marked = copy.deepcopy(catalog)
    for entry in marked["streams"]:
        stream = entry["tap_stream_id"]
        for node in entry["metadata"]:
            column = node["breadcrumb"][-1] if node["breadcrumb"] else None
            node["metadata"]["selected"] = (
                patterns.has_stream(stream)
                if column is None
                else patterns.has_column(stream, column)
            )
    return marked


def part_of(catalog: Catalog, streams: Collection[str]) -> Catalog:
    """Return a catalog of some streams alone."""
    kept = [entry for entry in catalog["streams"] if entry["tap_stream_id"] in streams]
    return {**catalog, "streams": kept}
