"""An Insights export, as the endpoints and the files share it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tap_autodesk_exports.sandbox.data.world import Team
    from tap_autodesk_exports.sandbox.storage import StoredFile
    from tap_autodesk_exports.sandbox.timeline import Timeline


@dataclasses.dataclass
class Export:
    """An export, with its files once they have been written.

    Attributes:
        body: The request as it was posted.
        teams: The teams that it reports on.
        language: `Accept-Language` of the request; it names the sheets of a workbook.
        files: Report name and file of each download.
        looks: How often it was looked at since it ended.
    """

    id: str
    body: dict[str, Any]
    teams: list[Team]
    language: str
    timeline: Timeline
    files: list[tuple[str, StoredFile]] | None = None
    looks: int = 0
