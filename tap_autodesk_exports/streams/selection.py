"""What Meltano selects where the user selects nothing."""

from __future__ import annotations

import json
import os

VARIABLE = "MELTANO_EXTRACT__SELECT"
"""Meltano hands a plugin's `select` over in it; a definition's own is lost by `--from-ref`."""
EVERYTHING = ["*.*"]
"""Meltano's default."""


def is_meltanos_default() -> bool:
    """Tell whether everything is selected because the user's project selects nothing."""
    try:
        return bool(json.loads(os.environ.get(VARIABLE, "null")) == EVERYTHING)
    except ValueError:
        return False
