"""What all streams have in common: one that fails is reported and stops nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_sdk import Stream
from singer_sdk.exceptions import (
    AbortedSyncFailedException,
    AbortedSyncPausedException,
    MappingError,
)
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.singerlib import Schema, StateMessage
from typing_extensions import override

from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.loading.personal import hashed_schema, hashing_of
from tap_autodesk_exports.loading.report import StreamReport

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    from singer_sdk import Tap
    from singer_sdk.helpers import types
    from singer_sdk.singerlib import Catalog, RecordMessage

    from tap_autodesk_exports.loading.dataset import Dataset
    from tap_autodesk_exports.loading.listing import Listing
    from tap_autodesk_exports.session import Session
    from tap_autodesk_exports.streams.sdk import BatchConfig

Record = dict[str, Any]


class TapStream(Stream):
    """A stream of this tap: fails alone, and says so."""

    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(
        self,
        tap: Tap,
        session: Session,
        declared: Dataset | Listing,
        schema: Mapping[str, Any],
    ) -> None:
        self.session = session
        self._hashing = hashing_of(declared.name, session.settings, declared.is_personal)
        self._report = StreamReport()
        super().__init__(tap, schema=hashed_schema(schema, self._hashing), name=declared.name)
        self.primary_keys = tuple(declared.primary_keys)

    @override
    def apply_catalog(self, catalog: Catalog) -> None:
        """Take the catalog; its `table-key-properties` prevail, as only a user changes them.

        Key and hashed columns are written back to the catalog, which the SDK's maps are made from.
        """
        if entry := catalog.get_stream(self.name):
            chosen = getattr(entry.metadata.get(()), "table_key_properties", None)
            if chosen and tuple(chosen) != tuple(self.primary_keys):
                entry.key_properties = chosen
            if self._hashing:
                hashed = hashed_schema(entry.schema.to_dict(), self._hashing)
                entry.schema = Schema.from_dict(hashed)
        super().apply_catalog(catalog)

    @property
    def is_dry_run(self) -> bool:
        """Whether the tap is being tested, with a limit on records."""
        return self.ABORT_AT_RECORD_COUNT is not None

    # Alone

    @override
    def _sync_records(
        self, context: types.Context | None = None, *, write_messages: bool = True
    ) -> Generator[Record, Any, Any]:
        """Write the stream's messages; a failure ends the stream and not the run."""
        yield from self._isolated(lambda: self._records(context, write_messages=write_messages))

    @override
    def _sync_batches(
        self, batch_config: BatchConfig, context: types.Context | None = None
    ) -> None:
        """Write BATCH messages where the stream can, else records."""
        for _ in self._isolated(lambda: self._batches(batch_config, context)):
            pass

    def _batches(
        self,
        batch_config: BatchConfig,  # noqa: ARG002
        context: types.Context | None,
    ) -> Iterable[Record]:
        return self._records(context, write_messages=True)

    def _isolated(self, sync: Callable[[], Iterable[Record]]) -> Generator[Record, Any, Any]:
        aborted = (AbortedSyncFailedException, AbortedSyncPausedException)
        with self.session.isolated(self.name, passing=aborted) as self._report:
            self.session.check_stopped()
            yield from sync()

    @override
    def _process_record(
        self,
        record: types.Record,
        child_context: types.Context | None = None,
        partition_context: types.Context | None = None,
    ) -> None:
        """Nothing: there are no child streams, for which the SDK would apply the filter twice."""

    @override
    def _generate_record_messages(
        self, record: types.Record
    ) -> Generator[RecordMessage, None, None]:
        """Report that a map fails without the row, which the error's own words may quote."""
        try:
            yield from super()._generate_record_messages(record)
        except Exception as error:
            if not self.config.get("stream_maps"):
                raise
            said = str(error) if isinstance(error, MappingError) else type(error).__name__
            msg = (
                f"Setting 'stream_maps' cannot be applied to a row ({said}): check the expressions "
                "for this stream; a column may be null or empty."
            )
            raise TapError(msg) from None

    def _records(self, context: types.Context | None, *, write_messages: bool) -> Iterable[Record]:
        for record in super()._sync_records(context, write_messages=write_messages):
            self._report.rows += 1
            yield record

    def fail(self, error: TapError) -> None:
        """Report that something of the stream failed or is pending."""
        self.session.fail(self.name, error)

    # The state, which is written by the load and not by the record

    @property
    @override
    def partitions(self) -> None:
        """None: the loader keeps the bookmarks of partitions, and the SDK would sync each."""
        return

    @override
    def _increment_stream_state(
        self, latest_record: types.Record, *, context: types.Context | None = None
    ) -> None:
        """Leave the bookmark alone: it moves when a whole export is loaded, not by the record."""

    @override
    def _write_starting_replication_value(self, context: types.Context | None) -> None:
        """Nothing: where a window starts follows from bookmark, look-back and settings."""

    @override
    def _write_state_message(self) -> None:
        self._tap.write_message(StateMessage(self.tap_state))

    @override
    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        """Write the state; there are no progress markers to finalize."""
        self._write_state_message()

    @override
    def get_replication_key_signpost(self, context: types.Context | None = None) -> None:
        """No signpost: bookmarks are ends of windows."""
        return

    # Versions of a whole table

    @property
    @override
    def emit_activate_version_messages(self) -> bool:
        """False, because the SDK activates a version before its rows are there."""
        return False

    @property
    def has_versions(self) -> bool:
        """Whether the user wants ACTIVATE_VERSION messages, and the stream can have them."""
        return self.replication_method == "FULL_TABLE" and bool(
            self.config.get("emit_activate_version_messages")
        )

    def begin_version(self, version: int = 0) -> None:
        """Give the records that follow a version: the given one, or a new one if it has some."""
        if version or self.has_versions:
            self._stream_version = version or self._initialized_at

    def activate_version(self) -> None:
        """Say that all rows of the new version were sent."""
        if self._stream_version is not None:
            self._write_activate_version_message(self._stream_version)
