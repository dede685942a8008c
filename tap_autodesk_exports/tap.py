"""The Singer tap: settings in, streams out."""

from __future__ import annotations

import functools
import sys
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, NoReturn, cast

from singer_sdk import Tap
from singer_sdk.helpers._classproperty import classproperty
from singer_sdk.plugin_base import _ConfigInput
from singer_sdk.singerlib import StateMessage
from singer_sdk.tap_base import CliTestOptionValue
from typing_extensions import override

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.clock import Clock
from tap_autodesk_exports.errors import ConfigurationError, TapError
from tap_autodesk_exports.report import Report
from tap_autodesk_exports.run import Run
from tap_autodesk_exports.schemas.registry import bundled
from tap_autodesk_exports.settings import Known, Settings
from tap_autodesk_exports.settings.config import (
    ENVIRONMENT,
    check_config,
    from_environment,
    parse_object,
    read_sources,
)
from tap_autodesk_exports.settings.schema import json_schema
from tap_autodesk_exports.signals import Signals
from tap_autodesk_exports.streams import data_connector, insights, tokenflex
from tap_autodesk_exports.streams.ahead import Ahead
from tap_autodesk_exports.streams.data_connector import TableStream
from tap_autodesk_exports.streams.exported import ExportStream, Load
from tap_autodesk_exports.streams.extracts import Extracts
from tap_autodesk_exports.streams.output import Output, TargetGone
from tap_autodesk_exports.streams.personal import unmatched
from tap_autodesk_exports.tables.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import click
    from singer_sdk import Stream

    from tap_autodesk_exports.sandbox.server import Sandbox
    from tap_autodesk_exports.streams.base import TapStream


class TapAutodeskExports(Tap):
    """Insights, Token Flex and Data Connector: data that comes as asynchronous exports."""

    name = "tap-autodesk-exports"
    package_name = "tap-autodesk-exports"
    config_jsonschema = json_schema(Settings)
    message_writer_class = Output

    clock = Clock()
    """The time of all runs; a test gives a tap a clock of its own before its run begins."""

    # Settings in

    @functools.cached_property
    def settings(self) -> Settings:
        """The settings as typed values.

        Raises:
            ConfigurationError: One cannot be read.
        """
        return Settings.from_config(self.config)

    @functools.cached_property
    def stop(self) -> threading.Event:
        """Set when the run is to end."""
        return threading.Event()

    @functools.cached_property
    def report(self) -> Report:
        """What became of each stream."""
        return Report()

    _begun = False
    """Whether the exports of the run were asked for."""

    @property
    def output(self) -> Output:
        """Standard output."""
        return cast("Output", self.message_writer)

    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check the settings in our own words, also for discovery: the SDK's show the values."""
        check_config(self._config, self._known())
        return []

    def _known(self) -> Known:
        """Return what the settings are checked against."""
        return Known(
            groups={table["service_group"] for table in bundled().values()}
            if self._config.get("data_connector_service_groups")
            and self._config.get("data_connector_schema") != "live"
            else None,
            streams=[stream.name for stream in tokenflex.STREAMS],
        )

    @classproperty
    @override
    def _env_var_config(cls) -> dict[str, Any]:  # noqa: N805
        """Settings from the environment, where a value that cannot be read is a sentence."""
        return from_environment()

    # Streams out

    @override
    def discover_streams(self) -> Sequence[Stream]:
        offered = {
            Api.INSIGHTS: lambda: (stream(self) for stream in insights.STREAMS),
            Api.TOKENFLEX: self._tokenflex_streams,
            Api.DATA_CONNECTOR: self._data_connector_streams,
        }
        return [stream for api in self.settings.apis for stream in offered[api]()]

    @override
    def setup_mapper(self) -> None:
        """Have the streams amend the catalog before the SDK's mapper reads it."""
        _ = self.streams
        super().setup_mapper()

    def _tokenflex_streams(self) -> Iterator[TapStream]:
        yield from (stream(self) for stream in tokenflex.STREAMS)
        for export in self.settings.tokenflex_exports:
            yield tokenflex.OwnExport(self, export)

    def _data_connector_streams(self) -> Iterator[TapStream]:
        yield from (stream(self) for stream in data_connector.STREAMS)
        groups = self.settings.data_connector_service_groups
        tables = data_connector.registry(self.settings, self.input_catalog)
        for name, table in tables.items():
            if groups is None or table["service_group"] in groups:
                yield TableStream(self, name, table)

    # A run

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.state.setdefault("bookmarks", {})
        self._pending: list[dict[str, Any]] = state.get("exports") or []
        self.output.take_bookmarks(self.state["bookmarks"])
        self.output.pending = lambda: self._pending

    @functools.cached_property
    def run(self) -> Run:
        """What this run shares; begins when it is first asked for.

        Raises:
            ConfigurationError: The credentials are incomplete or contradict one another.
        """
        settings = self.settings
        if settings.sandbox:
            settings = Settings.from_config({**self.config, **self._sandbox.settings()})
            self.logger.warning("The built-in sandbox answers: none of this is real data.")
        return Run(settings, self.output, self._pending, self.stop, self.clock)

    @functools.cached_property
    def _sandbox(self) -> Sandbox:
        try:
            from tap_autodesk_exports.sandbox.server import Sandbox  # noqa: PLC0415
        except ModuleNotFoundError as error:
            msg = (
                f"Setting 'sandbox' needs the package '{error.name}': install "
                "'tap-autodesk-exports[sandbox]'."
            )
            raise ConfigurationError(msg) from None
        sandbox = Sandbox()
        sandbox.start()
        return sandbox

    @functools.cached_property
    def extracts(self) -> Extracts:
        """The Data Connector extracts that the selected tables need."""
        return Extracts(
            self.run, [stream for stream in self._exported if isinstance(stream, TableStream)]
        )

    @functools.cached_property
    def _exported(self) -> list[ExportStream]:
        """The selected streams that need exports; in a dry run, those selected by default."""
        return [
            stream
            for stream in self.streams.values()
            if isinstance(stream, ExportStream)
            and stream.selected
            and (stream.selected_by_default or not stream.is_dry_run)
        ]

    def begin_exports(self) -> None:
        """Have all exports of the run made, side by side, before the first stream waits."""
        if self._begun:
            return
        for loads in self._loads.values():
            for load in loads:
                if load.error is None:
                    self.run.runner.start(load.spec)
        self._begun = True

    @functools.cached_property
    def _loads(self) -> dict[str, list[Load]]:
        loads: dict[str, list[Load]] = {}
        self._failed_plans: dict[str, TapError] = {}
        self._tell_unmatched_patterns()
        for stream in self._exported:
            try:
                self.run.sign_in.check(stream.api)
                loads[stream.name] = stream.plan()
            except TapError as error:
                self._failed_plans[stream.name] = error
        return loads

    def _tell_unmatched_patterns(self) -> None:
        for pattern in unmatched(self.settings, self.streams):
            self.logger.warning(
                "The pattern '%s' of 'hash_columns' matches no column of any stream, so it hides "
                "nothing: it is compared with `stream.column`.",
                pattern,
            )

    @functools.cached_property
    def _open_loads(self) -> Counter[str]:
        """Key of an export -> how many loads of it are still to come."""
        return Counter(load.spec.key for loads in self._loads.values() for load in loads)

    def loads_of(
        self, stream: ExportStream, partition: Mapping[str, str] | None = None
    ) -> list[Load]:
        """Return what a stream loads, in all or of one partition.

        Raises:
            TapError: It could not be planned.
        """
        if error := self._failed_plans.get(stream.name):
            raise error
        loads = self._loads.get(stream.name, [])
        return [load for load in loads if partition is None or load.partition == partition]

    def settle(self, load: Load) -> None:
        """Note that a load is over; with the last one of an export, it is no longer pending."""
        self._open_loads[load.spec.key] -= 1
        if not self._open_loads[load.spec.key]:
            self.run.ledger.drop(load.spec.key)

    @functools.cached_property
    def ahead(self) -> Ahead:
        """The file of the load that comes next."""
        return Ahead(self.run.workspace)

    @functools.cached_property
    def _in_order(self) -> list[tuple[ExportStream, Load]]:
        """All loads, in the order in which they will be loaded."""
        return [
            (stream, load) for stream in self._exported for load in self._loads.get(stream.name, [])
        ]

    def fetch_ahead(self, stream: ExportStream, load: Load) -> None:
        """Begin to fetch the file of the load that comes after another one."""
        if stream.is_dry_run:  # it ends after a few records, and would leave the file behind
            return
        at = self._in_order.index((stream, load))
        for following, coming in self._in_order[at + 1 :]:
            if following.fetch_ahead(coming):
                return

    def give_up(self, load: Load, error: TapError) -> None:
        """Note that a load failed. An export whose file is bad is not taken up again."""
        if isinstance(error, FileError):
            self.settle(load)

    # Begin and end of the process

    @override
    def _setup_signal_handlers(self) -> None:
        """Nothing: a run waits for signals in a thread, and all else just ends."""

    def close(self) -> int:
        """End the run, write the last state, and tell what became of it.

        Returns:
            Exit code: 0, or 1 where a stream failed or is pending.
        """
        if "run" in self.__dict__:
            self.run.stop.set()
            self.ahead.close()
            self.run.close()
            with suppress(TargetGone):
                self.write_message(StateMessage(self.state))
            self.output.close()
        if "_sandbox" in self.__dict__:
            self._sandbox.stop()
        self.report.log()
        return 0 if self.report.succeeded else 1

    def _leave(self) -> None:
        """Remove temporary files of a run that is left without its end."""
        if "run" in self.__dict__:
            self.run.workspace.close()

    @classmethod
    @override
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
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
    def cb_config(
        cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]
    ) -> _ConfigInput:
        files = [file for file in value if file != ENVIRONMENT]
        with cls._in_sentences():
            return _ConfigInput(read_sources(files), parse_env=ENVIRONMENT in value)

    @classmethod
    @override
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        if value == CliTestOptionValue.All.value:
            with cls._in_sentences():
                tap = cls._from_cli(ctx.params.get("config"))
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
        config: _ConfigInput | None,
        state: IO[str] | None = None,
        catalog: IO[str] | None = None,
    ) -> TapAutodeskExports:
        config = config or _ConfigInput()
        return cls(
            config=config.config,
            state=None if state is None else parse_object(state.read(), f"state {state.name}"),
            catalog=None
            if catalog is None
            else parse_object(catalog.read(), f"catalog {catalog.name}"),
            parse_env_config=config.parse_env,
            validate_config=True,
        )

    def finish(self, sync: Callable[[], object]) -> NoReturn:
        """Sync, and leave the process with the exit code that tells how it went.

        It is 0, 1 where a stream failed or is pending, 128 and the signal's number where one came.
        """
        signals = Signals(self.stop, self.output.lock, self._leave)
        signals.begin()
        self.output.gone = self.stop.set
        try:
            # Bad settings fail here, once, and not in every stream.
            self.run.redaction.guard()
            sync()
        finally:
            code = self.close()
        sys.exit(128 + signals.received if signals.received else code)

    @classmethod
    @contextmanager
    def _in_sentences(cls) -> Iterator[None]:
        """Tell an error of this tap as what it is: sentences, without a traceback."""
        try:
            yield
        except TapError as error:
            cls.logger.error("%s", error)  # noqa: TRY400
            sys.exit(1)
