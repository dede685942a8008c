"""The facts about a run that is under way."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tap_autodesk_exports.apis import TITLES, Api

if TYPE_CHECKING:
    from collections.abc import Sequence

MINUTE = 60.0


@dataclasses.dataclass(frozen=True)
class Running:
    """An export that the server is making.

    Attributes:
        api: Name of the API.
        title: The export in words.
        seconds: How long it has been polled.
        said: The server's own word for its state.
        percent: How much of it is done, where the server says so.
    """

    api: str
    title: str
    seconds: float
    said: str
    percent: int | None


@dataclasses.dataclass(frozen=True)
class Facts:
    """A run at one moment.

    Attributes:
        is_waiting: Whether it waits for an export or a file.
        exports: How many exports it needs.
        ready: How many of them are ready, or failed.
        running: Those that the server is making, longest first.
        streams: How many streams are over.
        failed: How many of them failed or are pending.
        rows: Records that were written.
        seconds: Time since its start.
        files: Files that were downloaded.
        downloaded: Bytes of them.
        current: The stream that is loaded now.
    """

    is_waiting: bool
    exports: int
    ready: int
    running: Sequence[Running]
    streams: int
    failed: int
    rows: int
    seconds: float
    files: int = 0
    downloaded: int = 0
    current: str = ""

    def line(self) -> str:
        """Return the facts as one line of a log."""
        details = []
        if self.running:
            details.append(f"longest {self.running[0].seconds / MINUTE:.0f} min")
        percents: dict[str, int] = {}
        for export in self.running:
            if export.percent is not None:
                percents.setdefault(export.api, export.percent)
        details += [f"{TITLES[Api(api)]} {percent} %" for api, percent in percents.items()]
        shown = f" ({', '.join(details)})" if details else ""
        return (
            f"Waiting: {len(self.running)} of {self.exports} exports running{shown}, "
            f"{self.streams} loaded, {_spaced(self.rows)} rows"
        )

    def fields(self) -> dict[str, object]:
        """Return the facts as fields of a structured log."""
        return {
            "exports": self.exports,
            "exports_running": len(self.running),
            "exports_ready": self.ready,
            "longest_seconds": round(self.running[0].seconds) if self.running else 0,
            "streams_loaded": self.streams,
            "rows": self.rows,
            "files": self.files,
            "bytes_downloaded": self.downloaded,
        }


def _spaced(number: int) -> str:
    return f"{number:,}".replace(",", " ")
