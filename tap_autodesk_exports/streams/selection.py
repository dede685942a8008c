"""What Meltano selects where the user selects nothing."""

from __future__ import annotations

import json
import os
from typing import Any

VARIABLE = "MELTANO_EXTRACT__SELECT"
"""Meltano hands a plugin's `select` over in it; a definition's own is lost by `--from-ref`."""
EVERYTHING = ["*.*"]
"""Meltano's default."""


def is_meltanos_default() -> bool:
    """Tell whether everything is selected because the user's project selects nothing."""
    return bool(_selected() == EVERYTHING)


def given_patterns() -> list[str]:
    """Return the patterns by which the user's project selects; none for Meltano's default."""
    patterns = _selected()
    is_given = isinstance(patterns, list) and patterns != EVERYTHING
    return [str(pattern) for pattern in patterns] if is_given else []


def _selected() -> Any:  # noqa: ANN401
    try:
        return json.loads(os.environ.get(VARIABLE, "null"))
    except ValueError:
        return None
