"""A file with a Singer state is read, whatever another program put into it."""

from __future__ import annotations

import logging
import math
from typing import Any

from tap_autodesk_exports.json_reading import read_json
from tap_autodesk_exports.settings.config import parse_object

logger = logging.getLogger("tap-autodesk-exports")

DEEPEST = 400
"""Levels of a state that is read: what another program put there is passed on as it is."""
LONGEST_NUMBER = 1_000
"""Digits of a number in a state that is read; none that this tap writes has so many."""

State = dict[str, Any]


def read_state(text: str, what: str) -> State:
    """Return the state that a text holds; JSON that is no object is a state without anything.

    Args:
        text: The text.
        what: What it is, for a person.

    Raises:
        ConfigurationError: It is no JSON.
    """
    try:
        found = read_json(
            text.removeprefix("\ufeff"),
            deepest=DEEPEST,
            parse_int=_number,
            parse_float=_number,
            parse_constant=lambda _: None,
        )
    except ValueError:
        found = parse_object(text, what)  # says what is wrong with it
    if not isinstance(found, dict):
        logger.warning("The %s holds no JSON object and is ignored: all is loaded again.", what)
        return {}
    return found


def _number(text: str) -> int | float | None:
    """Return a number; None where nobody could read it in the next state."""
    if len(text) > LONGEST_NUMBER:
        return None
    try:
        return int(text)
    except ValueError:
        found = float(text)
        return found if math.isfinite(found) else None
