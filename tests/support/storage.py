"""A finished export, and a service that gives links to its file, to test downloads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.made_up_service import FastClock
from tap_autodesk_exports.clock import canonical
from tap_autodesk_exports.exports.export import (
    ExportSpec,
    ExportStatus,
    FinishedExport,
    PendingExport,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Callable

FINISHED = FinishedExport(
    PendingExport(
        ExportSpec("insights", "", "users"), canonical(FastClock().now()), id="an-export"
    ),
    ExportStatus(Status.READY, "COMPLETED", "an-export"),
)


class LinkService:
    """Gives links.

    Args:
        link: Returns one.

    Attributes:
        links: How many were given.
    """

    def __init__(self, link: Callable[[], str]) -> None:
        self._link = link
        self.links = 0

    def signed_link(self, *_: Any) -> str:
        self.links += 1
        return self._link()
