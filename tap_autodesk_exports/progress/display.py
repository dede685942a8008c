"""A calm display on a terminal; it is on standard error and leaves nothing behind."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from tap_autodesk_exports.progress.facts import Facts

SHOWN = 6
"""Exports that are listed; the others are counted."""
TIMES_A_SECOND = 4
KILO = 1000.0


class Display:
    """Shows the facts until it is stopped.

    Args:
        facts: Returns the facts.
    """

    def __init__(self, facts: Callable[[], Facts]) -> None:
        self._facts = facts
        self._live = Live(
            get_renderable=lambda: render(facts()),
            console=Console(stderr=True),
            refresh_per_second=TIMES_A_SECOND,
            transient=True,
            redirect_stdout=False,  # Singer messages are none of its business
        )
        self._handlers: list[tuple[logging.StreamHandler[Any], Any]] = []

    @staticmethod
    def fits(*, writes_messages: bool = True) -> bool:
        """Tell whether there is a terminal for it, on which no messages are written."""
        return sys.stderr.isatty() and not (writes_messages and sys.stdout.isatty())

    def start(self) -> None:
        """Begin to show; log lines appear above the display."""
        before = sys.stderr
        self._live.start()
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is before:
                self._handlers.append((handler, handler.setStream(sys.stderr)))

    def stop(self) -> None:
        """Remove the display, whatever its state."""
        for handler, stream in self._handlers:
            handler.setStream(stream)
        self._handlers.clear()
        self._live.stop()


def render(facts: Facts) -> RenderableType:
    """Return the facts as what is shown."""
    table = Table.grid(padding=(0, 2))
    for export in facts.running[:SHOWN]:
        minutes, seconds = divmod(int(export.seconds), 60)
        percent = "" if export.percent is None else f"{export.percent} %"
        table.add_row(f"  {export.title}", export.said, percent, f"{minutes}:{seconds:02}")
    if more := len(facts.running) - SHOWN:
        table.add_row(f"  and {more} more" if more > 0 else "", "", "", "")
    waiting = facts.exports - facts.ready - len(facts.running)
    rate = facts.rows / facts.seconds if facts.seconds else 0.0
    exports = (
        f"Exports: {max(waiting, 0)} waiting, {len(facts.running)} running, {facts.ready} ready"
    )
    loaded = f"Streams: {facts.streams} loaded" + (f", {facts.failed} failed" * bool(facts.failed))
    rows = f"{facts.rows:,} rows".replace(",", " ") + f" ({rate:,.0f} a second)".replace(",", " ")
    files = f"{facts.files} files, {_bytes(facts.downloaded)}"
    current = f"Now: {facts.current}" if facts.current else ""
    return Group(Text(exports), table, Text(f"{loaded}; {rows}; {files}"), Text(current))


def _bytes(number: float) -> str:
    for unit in ("B", "kB", "MB"):
        if number < KILO:
            return f"{number:.0f} {unit}"
        number /= KILO
    return f"{number:.1f} GB"
