"""Every private name of the Singer SDK that this tap uses; no other module imports one.

`RELIED_ON` names the methods and attributes that the streams override or use. The test of this room
checks that each exists, so that a new release of the SDK that changes one is noticed.
"""

from __future__ import annotations

import contextlib
from types import MappingProxyType

from singer_sdk import Stream, Tap
from singer_sdk.helpers._batch import BatchConfig, SDKBatchMessage, StorageTarget
from singer_sdk.helpers._classproperty import classproperty
from singer_sdk.plugin_base import _ConfigInput as ConfigInput

__all__ = [
    "RELIED_ON",
    "BatchConfig",
    "ConfigInput",
    "SDKBatchMessage",
    "StorageTarget",
    "classproperty",
    "discard_files",
]

RELIED_ON = MappingProxyType(
    {
        Stream: (
            "_generate_record_messages",
            "_increment_stream_state",
            "_initialized_at",
            "_process_record",
            "_stream_version",
            "_sync_batches",
            "_sync_records",
            "_tap",
            "_write_activate_version_message",
            "_write_starting_replication_value",
            "_write_state_message",
        ),
        StorageTarget: ("_root_path",),
        Tap: ("_config", "_env_var_config", "_setup_signal_handlers", "_validate_config"),
    }
)


def discard_files(storage: StorageTarget) -> None:
    """Remove what a storage has begun to write and not finished."""
    with contextlib.suppress(Exception):
        storage._root_path.fs.transaction.complete(commit=False)  # noqa: SLF001
