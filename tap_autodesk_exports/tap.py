"""The Singer tap: config in, streams out."""

from __future__ import annotations

import functools
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from singer_sdk import Tap
from singer_sdk.exceptions import MappingError
from singer_sdk.singerlib import Catalog, StateMessage
from typing_extensions import override

from tap_autodesk_exports.autodesk.sources import SOURCES
from tap_autodesk_exports.clock import Clock
from tap_autodesk_exports.errors import ConfigurationError, TapError
from tap_autodesk_exports.loading.state import usable
from tap_autodesk_exports.session import Session
from tap_autodesk_exports.stdout import OutputFailed
from tap_autodesk_exports.streams.command_line import CommandLine
from tap_autodesk_exports.streams.dataset_stream import DatasetStream
from tap_autodesk_exports.streams.listing_stream import ListingStream
from tap_autodesk_exports.streams.selection import is_meltanos_default, unused_maps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from singer_sdk import Stream

    from tap_autodesk_exports.loading.dataset import Selected
    from tap_autodesk_exports.streams.stream import TapStream

NO_STREAM = (
    "Setting 'stream_maps' names what no stream is called, so that map does nothing: %s. "
    "`tap-autodesk-exports --config … --discover` lists the streams."
)


class TapAutodeskExports(CommandLine):
    """Insights, Token Flex and Data Connector: data that comes as asynchronous exports."""

    name = "tap-autodesk-exports"
    package_name = "tap-autodesk-exports"

    clock = Clock()
    """The time of all runs; a test may have another one."""

    @functools.cached_property
    def session(self) -> Session:  # type: ignore[override]
        """What the streams of this process share."""
        session = Session(self.config, self.output, self.clock)
        session.selected = self._selected
        session.columns = self._columns
        return session

    @override
    def discover_streams(self) -> Sequence[Stream]:
        return list(self._discovered())

    def _discovered(self) -> Iterator[TapStream]:
        settings = self.session.settings
        schemas = None if self.input_catalog is None else self._catalog_schemas
        for api in settings.apis:
            entry = SOURCES[api]
            yield from (ListingStream(self, self.session, listing) for listing in entry.listings)
            for dataset in entry.datasets(settings, schemas):
                yield DatasetStream(self, self.session, dataset, self.output)

    def _catalog_schemas(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the schemas of the user's catalog."""
        entries = self.input_catalog.streams if self.input_catalog else ()
        return {entry.tap_stream_id: entry.schema.to_dict() for entry in entries}

    @override
    def setup_mapper(self) -> None:
        """Have the streams amend the catalog before the SDK's mapper reads it.

        What is selected only because Meltano selects everything by default is deselected. A map of
        a stream that is not selected does nothing: the SDK would not find the columns that it maps.
        """
        streams = self.streams
        if is_meltanos_default():
            for stream in self._left_out():
                stream.selected = False
        with _naming_the_maps(self.config):
            super(Tap, self).setup_mapper()
        selected = {
            name: entry
            for name, entry in self.catalog.items()
            if name not in streams or streams[name].selected
        }
        with _naming_the_maps(self.config):
            self.mapper.register_raw_streams_from_catalog(Catalog(selected))
        if unused := unused_maps(self.config.get("stream_maps") or {}, streams):
            self.logger.warning(NO_STREAM, ", ".join(unused))

    def _selected(self) -> Sequence[Selected]:
        """Return the selected streams that need exports; in a dry run, those of the default."""
        self._report_left_out()
        return [
            stream.as_selected()
            for stream in self.streams.values()
            if isinstance(stream, DatasetStream)
            and stream.selected
            and (stream.selected_by_default or not stream.is_dry_run)
        ]

    def _left_out(self) -> list[DatasetStream]:
        """Return the streams that are not selected by default."""
        return [
            stream
            for stream in self.streams.values()
            if isinstance(stream, DatasetStream) and not stream.selected_by_default
        ]

    def _report_left_out(self) -> None:
        """Name the service groups that Meltano's default would select, and the tap does not."""
        left_out = {stream.name.partition("_")[0] for stream in self._left_out()}
        if left_out and is_meltanos_default():
            self.logger.info(
                "Nothing is selected in the project, so what the tap does not select by default is "
                "left out: %s. To load some of it, name it, such as "
                '`select: ["*.*", "activities_*.*"]`.',
                ", ".join(sorted(left_out)),
            )

    def _columns(self) -> Mapping[str, Sequence[str]]:
        return {name: list(stream.schema["properties"]) for name, stream in self.streams.items()}

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        state = usable(state)
        super().load_state(state)
        self.state.setdefault("bookmarks", {})
        pending: list[dict[str, Any]] = state["exports"]
        self.session.pending = pending
        self.output.take_bookmarks(self.state["bookmarks"])
        self.output.pending = lambda: pending

    @override
    def sync(self) -> None:
        """Sync each selected stream, those first whose exports are ready.

        The SDK's `sync_all`, which is final, takes them in the order of the catalog: each would
        wait behind the exports of all streams before it.
        """
        if self.state:
            self.write_message(StateMessage(self.state))
        waiting = {name: stream for name, stream in self.streams.items() if stream.selected}
        while waiting:
            stream = waiting.pop(self.session.next_of([*waiting]))
            stream.sync()
            stream.finalize_state_progress_markers()
        for stream in self.streams.values():
            stream.log_sync_costs()

    @override
    def close(self) -> int:
        """End the run, write the last state, and report what became of it; return the exit code."""
        if not any(stream.selected for stream in self.streams.values()):
            self.logger.warning(
                "No stream is selected, so nothing was loaded. Select some in the catalog, in "
                "Meltano under `select`: `meltano select tap-autodesk-exports --list` shows them."
            )
        return self.session.close(self._write_last_state)

    def _write_last_state(self) -> None:
        with suppress(OutputFailed):
            self.write_message(StateMessage(self.state))
        self.output.close()


@contextmanager
def _naming_the_maps(config: Mapping[str, Any]) -> Iterator[None]:
    """Report a map that the SDK cannot use.

    Raises:
        ConfigurationError: There is one.
    """
    try:
        yield
    except TapError:
        raise
    except MappingError as error:
        msg = f"Setting 'stream_maps' cannot be used: {error}"
        raise ConfigurationError(msg) from None
    except Exception as error:  # what an expression raises can be anything
        if not config.get("stream_maps"):
            raise
        msg = (
            f"Setting 'stream_maps' cannot be used ({type(error).__name__}): check its expressions "
            "and options."
        )
        raise ConfigurationError(msg) from None
