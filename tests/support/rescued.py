"""What tests read of `_rescued_data`."""

from __future__ import annotations

import json
from typing import Any


def opened(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with the object in place of the text that `_rescued_data` holds."""
    text = record.get("_rescued_data")
    assert text is None or isinstance(text, str)
    return record | ({"_rescued_data": json.loads(text)} if text else {})
