"""The Singer tap: config in, streams out, start and end of the process."""

from __future__ import annotations

import functools
import sys
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, NoReturn, cast

from singer_sdk import Tap
from singer_sdk.singerlib import StateMessage
from singer_sdk.tap_base import CliTestOptionValue
from typing_extensions import override

from tap_autodesk_exports.autodesk.sources import SOURCES
from tap_autodesk_exports.clock import Clock
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.session import Session
from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.settings.schema import json_schema
from tap_autodesk_exports.signals import Signals
from tap_autodesk_exports.streams.dataset_stream import DatasetStream
from tap_autodesk_exports.streams.listing_stream import ListingStream
from tap_autodesk_exports.streams.output import Output, TargetGone
from tap_autodesk_exports.streams.sdk import ConfigInput, load_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import click
    from singer_sdk import Stream

    from tap_autodesk_exports.loading.dataset import Selected
    from tap_autodesk_exports.streams.stream import TapStream


class TapAutodeskExports(Tap):
    """Insights, Token Flex and Data Connector: data that comes as asynchronous exports."""

    name = "tap-autodesk-exports"
    package_name = "tap-autodesk-exports"
    config_jsonschema = json_schema(Settings)
    message_writer_class = Output

    clock = Clock()
    """The time of all runs; a test may have another one."""

    @functools.cached_property
    def session(self) -> Session:
        """What the streams of this process share."""
        session = Session(self.config, self.output, self.clock)
        session.selected = self._selected
        session.columns = self._columns
        return session

    @property
    def output(self) -> Output:
        """Standard output."""
        return cast("Output", self.message_writer)

    # Streams out

    @override
    def discover_streams(self) -> Sequence[Stream]:
        return list(self._discovered())

    def _discovered(self) -> Iterator[TapStream]:
        settings = self.session.settings
        for api in settings.apis:
            entry = SOURCES[api]
            yield from (ListingStream(self, self.session, listing) for listing in entry.listings)
            for dataset in entry.datasets(settings, self._catalog_schemas()):
                yield DatasetStream(self, self.session, dataset)

    def _catalog_schemas(self) -> Mapping[str, Mapping[str, Any]] | None:
        """Return the schemas of the user's catalog; None for discovery."""
        if self.input_catalog is None:
            return None
        return {entry.tap_stream_id: entry.schema.to_dict() for entry in self.input_catalog.streams}

    @override
    def setup_mapper(self) -> None:
        """Have the streams amend the catalog before the SDK's mapper reads it."""
        _ = self.streams
        super().setup_mapper()

    def _selected(self) -> Sequence[Selected]:
        """Return the selected streams that need exports; in a dry run, those of the default."""
        return [
            stream.as_selected()
            for stream in self.streams.values()
            if isinstance(stream, DatasetStream)
            and stream.selected
            and (stream.selected_by_default or not stream.is_dry_run)
        ]

    def _columns(self) -> Mapping[str, Sequence[str]]:
        return {name: list(stream.schema["properties"]) for name, stream in self.streams.items()}

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.state.setdefault("bookmarks", {})
        pending: list[dict[str, Any]] = state.get("exports") or []
        self.session.pending = pending
        self.output.take_bookmarks(self.state["bookmarks"])
        self.output.pending = lambda: pending

    # Start and end of the process

    @override
    def _setup_signal_handlers(self) -> None:
        """Nothing: a run waits for signals in a thread, and all else just ends."""

    def close(self) -> int:
        """End the run, write the last state, and report what became of it; return the exit code."""
        return self.session.close(self._write_last_state)

    def _write_last_state(self) -> None:
        with suppress(TargetGone):
            self.write_message(StateMessage(self.state))
        self.output.close()

    @classmethod
    @override
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: ConfigInput | None = None,
        state: IO[str] | None = None,
        catalog: IO[str] | None = None,
    ) -> None:
        super(Tap, cls).invoke(about=about, about_format=about_format)
        cls.print_version(print_fn=cls.logger.info)
        with cls._in_sentences():
            tap = cls._from_cli(config, state, catalog)
            tap.finish(tap.sync_all)

    @classmethod
    @override
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        if value == CliTestOptionValue.All.value:
            with cls._in_sentences():
                tap = cls._from_cli(ctx.params.get("config"))
                tap.session.is_dry_run = True
                tap.finish(tap.run_connection_test)
        super().cb_test(ctx, param, value)

    @classmethod
    @override
    def cb_discover(cls, ctx: click.Context, param: click.Option, value: bool) -> None:
        with cls._in_sentences():
            super().cb_discover(ctx, param, value)

    @classmethod
    def _from_cli(
        cls,
        config: ConfigInput | None,
        state: IO[str] | None = None,
        catalog: IO[str] | None = None,
    ) -> TapAutodeskExports:
        config = config or ConfigInput()
        return cls(
            config=config.config,
            state=None if state is None else load_json(state.read()),
            catalog=None if catalog is None else load_json(catalog.read()),
            parse_env_config=config.parse_env,
            validate_config=True,
        )

    def finish(self, sync: Callable[[], object]) -> NoReturn:
        """Sync, and leave the process with the exit code that says how it went.

        It is 0, 1 where a stream failed or is pending, 128 and the signal's number where one came.
        """
        signals = Signals(self.session.stop, self.output.lock, self.session.abandon)
        signals.begin()
        self.output.gone = self.session.stop.set
        try:
            # Bad settings fail here, once, and not in every stream.
            self.session.run.redaction.guard()
            sync()
        finally:
            code = self.close()
        sys.exit(128 + signals.received if signals.received else code)

    @classmethod
    @contextmanager
    def _in_sentences(cls) -> Iterator[None]:
        """Report an error of this tap as what it is: sentences, without a traceback."""
        try:
            yield
        except TapError as error:
            cls.logger.error("%s", error)  # noqa: TRY400
            sys.exit(1)
