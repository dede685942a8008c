"""What each API gets from the run that it works in."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tap_autodesk_exports.autodesk.http import ApiContext
    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.exports.download import Downloader
    from tap_autodesk_exports.exports.ledger import Ledger
    from tap_autodesk_exports.settings import Settings
    from tap_autodesk_exports.workspace import Workspace

logger = logging.getLogger("tap-autodesk-exports")

TOLERANCE = dt.timedelta(minutes=5)
"""How far this machine's clock and the server's may differ without a warning."""


class EarlierClock:
    """The earlier of this machine's clock and the server's: what is later has not happened yet.

    Args:
        api: Knows both clocks.
    """

    def __init__(self, api: ApiContext) -> None:
        self._api = api
        self._has_warned = False

    def now(self) -> dt.datetime:
        """Return the present instant, aware, in UTC.

        Until the server has answered once, both clocks count as equal.
        """
        ahead = self._api.server_time.ahead
        if abs(ahead) > TOLERANCE and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "This machine's clock is %s the server's by %d minutes: date ranges end at the "
                "earlier of both. Set this machine's clock.",
                "behind" if ahead > dt.timedelta(0) else "ahead of",
                abs(ahead) // dt.timedelta(minutes=1),
            )
        return self._api.clock.now() + min(ahead, dt.timedelta(0))


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
        earlier: The clock by which date ranges end.
    """

    settings: Settings
    api: ApiContext
    downloader: Downloader
    ledger: Ledger
    workspace: Workspace
    streams: frozenset[str] = frozenset()
    earlier: EarlierClock = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        """Compare this machine's clock with the server's."""
        object.__setattr__(self, "earlier", EarlierClock(self.api))

    @property
    def clock(self) -> Clock:
        """The time of the run."""
        return self.api.clock
