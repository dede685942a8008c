"""Chunks of an account: the projects of one request each, with separate bookmarks."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

from tap_autodesk_exports.autodesk.data_connector.scope import ALL
from tap_autodesk_exports.loading.bookmarks import mark_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from tap_autodesk_exports.loading.bookmarks import Bookmarks
    from tap_autodesk_exports.loading.dataset import Selected
    from tap_autodesk_exports.settings.settings import Settings

logger = logging.getLogger("tap-autodesk-exports")

PROJECTS_A_REQUEST = 50


@dataclasses.dataclass(frozen=True)
class ProjectChunk:
    """The projects of one request: 50 at most (documented); none for all of them."""

    name: str
    project_ids: tuple[str, ...]


def chunk_of(project_ids: Sequence[str], status: str) -> ProjectChunk:
    """Return some projects of a status as one chunk; none are all that there are.

    A chunk is named by its projects, so that its bookmarks are never taken for those of others.
    """
    words = [] if status == ALL else [status]
    if project_ids:
        words += ["projects", mark_of(" ".join(project_ids))]
    return ProjectChunk(" ".join(words), tuple(project_ids))


def chunks_of(project_ids: Sequence[str], status: str) -> list[ProjectChunk]:
    """Cut a list of projects into chunks."""
    return [
        chunk_of(project_ids[at : at + PROJECTS_A_REQUEST], status)
        for at in range(0, max(1, len(project_ids)), PROJECTS_A_REQUEST)
    ]


def chunks_of_run(settings: Settings) -> list[ProjectChunk]:
    """Return the chunks that a run loads: an extract that the settings name has all in one."""
    ids, status = settings.data_connector_project_ids, settings.data_connector_project_status
    return [chunk_of(ids, status)] if settings.data_connector_job_id else chunks_of(ids, status)


def left_out(
    chunks: Sequence[ProjectChunk], status: str, accounts: Container[str], bookmarks: Bookmarks
) -> str | None:
    """Say whose projects were loaded before and are no part of this run; None where all are."""
    for context in bookmarks.loaded_partitions():
        account = context.get("account_id")
        if account in accounts and not _hold(chunks, status, context.get("part", "")):
            return (
                f"projects of account {account} were loaded before that are no part of this run "
                "(a run with `--full-refresh` forgets them)"
            )
    return None


def _hold(chunks: Sequence[ProjectChunk], status: str, earlier: str) -> bool:
    """Tell whether chunks hold all projects of an earlier one.

    One to which projects were added at the end, as documented, holds what it held before.
    """
    first = earlier.partition(" ")[0]
    status_before = first if first in {"active", "archived"} else ALL
    if status not in {ALL, status_before}:
        return False
    return any(
        not chunk.project_ids or chunk_of(chunk.project_ids[:size], status_before).name == earlier
        for chunk in chunks
        for size in range(min(1, len(chunk.project_ids)), len(chunk.project_ids) + 1)
    )


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
