"""Chunks of an account: the projects of one request each, with separate bookmarks."""

from __future__ import annotations

import dataclasses
import logging
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tap_autodesk_exports.loading.dataset import Selected

logger = logging.getLogger("tap-autodesk-exports")

PROJECTS_A_REQUEST = 50


@dataclasses.dataclass(frozen=True)
class ProjectChunk:
    """The projects of one request: 50 at most (documented); none for all of them."""

    name: str
    project_ids: tuple[str, ...]


WHOLE = ProjectChunk("", ())
"""All projects."""


def chunks_of(project_ids: Sequence[str]) -> list[ProjectChunk]:
    """Cut a list of projects into chunks.

    A chunk is named by its projects, so that its bookmarks are never taken for those of others.
    """
    if not project_ids:
        return [WHOLE]
    return [
        ProjectChunk(f"projects {zlib.crc32(' '.join(chunk).encode()):08x}", tuple(chunk))
        for at in range(0, len(project_ids), PROJECTS_A_REQUEST)
        if (chunk := project_ids[at : at + PROJECTS_A_REQUEST])
    ]


def partition_of(account: str, part: str) -> dict[str, str]:
    """Return the context of the bookmarks of some projects of an account."""
    return {"account_id": account} | ({"part": part} if part else {})


def warn_of_new_chunks(
    account: str, chunks: Sequence[ProjectChunk], tables: Iterable[Selected]
) -> None:
    """Warn that chunks are read from their start, because the list of projects has changed."""
    contexts = [
        state["context"]
        for table in tables
        if table.dataset.is_dated
        for state in table.bookmarks.states.known_partitions()
    ]
    known = {
        context.get("part", "") for context in contexts if context.get("account_id") == account
    }
    new = sum(chunk.name not in known for chunk in chunks)
    if known and new:
        logger.warning(
            "Data Connector: the projects of account %s have changed since the last run, so "
            "%d of %d requests start at the start date. They hold %d projects each, in the order "
            "of 'data_connector_project_ids': a project added at its end changes only the last.",
            account,
            new,
            len(chunks),
            PROJECTS_A_REQUEST,
        )
