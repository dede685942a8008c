"""Which log lines of the SDK a person does not need: those about every stream, changed or not."""

from __future__ import annotations

import logging
import os

from typing_extensions import override

BEGINNING = "Beginning sync of"
CHATTER = (
    "Skipping deselected stream",
    BEGINNING,
    "METRIC: ",
    "Parsing env var for settings config",
    "Skipping parse of env var settings",
)
"""How the lines begin, before their arguments are filled in."""
CONFIGURED = "SINGER_SDK_LOG_CONFIG"
"""Names a file with a logging configuration: who has one chooses the lines, metrics among them."""
OF_MELTANO = ".singer_sdk_logging.json"
"""How the name ends of the file that Meltano writes for every run, which chooses no lines."""


class _NoChatter(logging.Filter):
    def __init__(self, chatter: tuple[str, ...]) -> None:
        super().__init__()
        self._chatter = chatter

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno > logging.INFO or not str(record.msg).startswith(self._chatter)


def quiet() -> None:
    """Keep the SDK's lines about every stream out of the log, unless the user has configured it."""
    configured = os.environ.get(CONFIGURED)
    if configured and not configured.endswith(OF_MELTANO):
        return
    # Meltano's log has no display beside it: where a run is, its readers see by the beginnings.
    chatter = tuple(each for each in CHATTER if each != BEGINNING) if configured else CHATTER
    for handler in logging.getLogger().handlers:
        if not any(isinstance(each, _NoChatter) for each in handler.filters):
            handler.addFilter(_NoChatter(chatter))
