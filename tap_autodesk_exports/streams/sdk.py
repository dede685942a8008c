"""Every private name of the Singer SDK that this tap uses, imported here and nowhere else.

`tests/streams/test_sdk.py` checks that each exists with what is relied on.
"""

from __future__ import annotations

from singer_sdk.helpers._batch import BatchConfig, SDKBatchMessage
from singer_sdk.helpers._util import load_json
from singer_sdk.plugin_base import _ConfigInput as ConfigInput

__all__ = ["BatchConfig", "ConfigInput", "SDKBatchMessage", "load_json"]
