"""What all streams have in common, and the private names of the Singer SDK that they need.

A stream that fails is reported and stops nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from singer_sdk import Stream
from singer_sdk.exceptions import AbortedSyncFailedException, AbortedSyncPausedException
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.singerlib import Schema, StateMessage
from typing_extensions import override

from tap_autodesk_exports.errors import Stopped, TapError
from tap_autodesk_exports.exports.export import NotFinished
from tap_autodesk_exports.report import Outcome
from tap_autodesk_exports.streams.personal import hashed_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from singer_sdk.helpers import types
    from singer_sdk.helpers._batch import BatchConfig
    from singer_sdk.singerlib import Catalog

    from tap_autodesk_exports.apis import Api
    from tap_autodesk_exports.report import StreamReport
    from tap_autodesk_exports.run import Run
    from tap_autodesk_exports.tables.hashing import Hashing
    from tap_autodesk_exports.tap import TapAutodeskExports

Record = dict[str, Any]


class TapStream(Stream):
    """A stream of this tap: fails alone, and says so."""

    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    api: Api
    """Whose data the stream holds."""
    _hashing: Hashing | None
    _report: StreamReport

    @override
    def apply_catalog(self, catalog: Catalog) -> None:
        """Take the catalog; its `table-key-properties` prevail, as only a user changes them.

        Key and hashed columns are written back to the catalog, which the SDK's maps are made from.
        """
        if entry := catalog.get_stream(self.name):
            chosen = getattr(entry.metadata.get(()), "table_key_properties", None)
            if chosen and tuple(chosen) != tuple(self.primary_keys):
                entry.key_properties = chosen
            hashed = hashed_schema(entry.schema.to_dict(), self._hashing)
            entry.schema = Schema.from_dict(hashed)
        super().apply_catalog(catalog)

    @property
    def tap(self) -> TapAutodeskExports:
        """The tap, as what it is."""
        return cast("TapAutodeskExports", self._tap)

    @property
    def run(self) -> Run:
        """What this run of the tap shares."""
        return self.tap.run

    @property
    def is_dry_run(self) -> bool:
        """Whether the tap is being tested, with a limit on records."""
        return self.ABORT_AT_RECORD_COUNT is not None

    @override
    def _sync_records(
        self, context: types.Context | None = None, *, write_messages: bool = True
    ) -> Generator[Record, Any, Any]:
        """Write the stream's messages; a failure ends the stream and not the run."""
        yield from self._alone(lambda: self._records(context, write_messages=write_messages))

    @override
    def _sync_batches(
        self, batch_config: BatchConfig, context: types.Context | None = None
    ) -> None:
        """Write BATCH messages where the stream can, else records."""
        for _ in self._alone(lambda: self._batches(batch_config, context)):
            pass

    def _batches(
        self,
        batch_config: BatchConfig,  # noqa: ARG002
        context: types.Context | None,
    ) -> Iterable[Record]:
        return self._records(context, write_messages=True)

    def _alone(self, sync: Callable[[], Iterable[Record]]) -> Generator[Record, Any, Any]:
        with self.tap.report.of(self.name) as self._report:
            if self.tap.stop.is_set():
                self._tell(Stopped())
                return
            try:
                self.run.sign_in.check(self.api)
                self.tap.begin_exports()
                yield from sync()
            except (AbortedSyncFailedException, AbortedSyncPausedException):
                raise
            except TapError as error:
                self._tell(error)
            except Exception as error:
                self.logger.exception("A defect of this tap, or something that it did not expect")
                self._tell(TapError(f"Stopped by {type(error).__name__}; the log has the details."))

    def _records(self, context: types.Context | None, *, write_messages: bool) -> Iterable[Record]:
        for record in super()._sync_records(context, write_messages=write_messages):
            self._report.rows += 1
            yield record

    def _tell(self, error: TapError) -> None:
        pending = isinstance(error, (NotFinished, Stopped))
        outcome = Outcome.PENDING if pending else Outcome.FAILED
        self.tap.report.tell(self.name, outcome, str(error))

    @property
    @override
    def partitions(self) -> None:
        """None: an exported stream sees to its bookmarks itself, and the SDK would sync each."""
        return

    @override
    def _increment_stream_state(
        self, latest_record: types.Record, *, context: types.Context | None = None
    ) -> None:
        """Leave the bookmark alone: it moves when a whole export is loaded, not by the record."""

    @override
    def _write_starting_replication_value(self, context: types.Context | None) -> None:
        """Nothing: where a window begins is worked out from bookmark, look-back and settings."""

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

    @property
    @override
    def emit_activate_version_messages(self) -> bool:
        """False, because the SDK activates a version before its rows are there."""
        return False

    @property
    def _versions(self) -> bool:
        """Whether the user wants ACTIVATE_VERSION messages, and the stream is one to have them."""
        return self.replication_method == "FULL_TABLE" and bool(
            self.config.get("emit_activate_version_messages")
        )

    def _begin_version(self) -> None:
        if self._versions:
            self._stream_version = self._initialized_at

    def _activate_version(self) -> None:
        """Tell the target that all rows of the new version are there."""
        if self._stream_version is not None:
            self._write_activate_version_message(self._stream_version)
