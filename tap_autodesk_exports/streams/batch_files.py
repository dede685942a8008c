"""The files of the SDK's `batch_config`, and what is wrong with the setting or its storage."""

from __future__ import annotations

import contextlib
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any

from tap_autodesk_exports.errors import ConfigurationError, TapError
from tap_autodesk_exports.settings.storages import missing_extra
from tap_autodesk_exports.streams.sdk import BatchConfig, discard_files
from tap_autodesk_exports.tables.encoding import Encoding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_autodesk_exports.streams.sdk import StorageTarget

ENCODINGS = MappingProxyType(
    {
        ("jsonl", "none"): Encoding.JSONL,
        ("jsonl", "gzip"): Encoding.JSONL_GZIP,
        ("parquet", "none"): Encoding.PARQUET,
        ("parquet", "zstd"): Encoding.PARQUET,
    }
)
"""Format and compression of a `batch_config` -> how files are written."""
_EXAMPLE = (
    'write {"encoding": {"format": "jsonl", "compression": "gzip"}, "storage": {"root": '
    '"file:///a/folder"}}, and beside them "batch_size" and in the storage "prefix" and "params"'
)


def check_batches(config: Mapping[str, Any]) -> None:
    """Check the setting `batch_config`, if it is there.

    Raises:
        ConfigurationError: It cannot be used.
    """
    given = config.get("batch_config")
    if not given:
        return
    try:
        batches = BatchConfig.from_dict(given)
        encoding, storage = batches.encoding, batches.storage
        texts = [encoding.format, encoding.compression or "", storage.root, storage.prefix or ""]
        is_one = all(isinstance(text, str) for text in texts) and bool(storage.root.strip())
        is_one = is_one and isinstance(storage.params, dict)
        is_one = is_one and int(batches.batch_size) == batches.batch_size > 0
    except (AttributeError, TypeError, ValueError, OverflowError):
        is_one = False
    if not is_one:
        msg = f"Setting 'batch_config' is not what the Singer SDK wants: {_EXAMPLE}."
        raise ConfigurationError(msg)
    batch_encoding(batches)
    if extra := missing_extra(storage.root):
        msg = (
            "The storage that 'storage.root' of the setting 'batch_config' names needs a package "
            f"that is not installed: install 'tap-autodesk-exports[{extra}]'."
        )
        raise ConfigurationError(msg)


def batch_encoding(config: BatchConfig) -> Encoding:
    """Return how the files of a batch configuration are written.

    Raises:
        ConfigurationError: It is something that this tap does not write.
    """
    wanted = (config.encoding.format, config.encoding.compression or "none")
    found = ENCODINGS.get(wanted)
    if found is None:
        msg = (
            f"Setting 'batch_config' asks for {wanted[0]} with compression '{wanted[1]}': choose "
            "jsonl with 'gzip' or 'none', or parquet without one."
        )
        raise ConfigurationError(msg)
    return found


@contextlib.contextmanager
def new_file(storage: StorageTarget, name: str) -> Iterator[IO[bytes]]:
    """Open a new file of the storage for writing; it is there once it is whole.

    Raises:
        TapError: It cannot be written.
    """
    opened = contextlib.ExitStack()
    try:
        try:
            file: IO[bytes] = opened.enter_context(storage.open(name, "wb"))
        except Exception as error:  # noqa: BLE001 - of whichever library knows the storage
            raise _unwritable(error) from None
        with opened:
            yield file
    except OSError as error:
        discard_files(storage)
        raise _unwritable(error) from None
    except BaseException:
        discard_files(storage)
        raise


def _unwritable(error: Exception) -> TapError:
    # Neither the root nor the error's own text: both may hold keys of the storage.
    why = getattr(error, "strerror", None) or type(error).__name__
    return TapError(
        f"No file can be written to the storage that 'storage.root' of the setting 'batch_config' "
        f"names ({why}): name a folder that is there or can be made, with room, such as "
        "file:///a/folder, and check what the storage needs to sign in."
    )
