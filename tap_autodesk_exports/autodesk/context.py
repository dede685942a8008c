"""What each API gets from the run that it works in."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tap_autodesk_exports.autodesk.http import ApiContext
    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.exports.download import Downloader
    from tap_autodesk_exports.exports.ledger import Ledger
    from tap_autodesk_exports.settings import Settings
    from tap_autodesk_exports.workspace import Workspace


@dataclasses.dataclass(frozen=True)
class RunContext:
    """What the sources of a run share.

    Attributes:
        settings: The settings.
        api: What their clients need.
        downloader: Fetches files of finished exports.
        ledger: The pending exports.
        workspace: Holds temporary files.
        streams: Names of all streams of the catalog, selected or not.
    """

    settings: Settings
    api: ApiContext
    downloader: Downloader
    ledger: Ledger
    workspace: Workspace
    streams: frozenset[str] = frozenset()

    @property
    def clock(self) -> Clock:
        """The time of the run."""
        return self.api.clock
