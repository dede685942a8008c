"""The tap as a program: its options, its settings, its sentences, its exit code."""

from __future__ import annotations

import abc
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, NoReturn, Self, TypeVar, cast

import click
from singer_sdk import Tap
from singer_sdk.tap_base import CliTestOptionValue
from typing_extensions import override

from tap_autodesk_exports.autodesk.sources import known
from tap_autodesk_exports.errors import ConfigurationError, TapError
from tap_autodesk_exports.json_reading import LONGEST
from tap_autodesk_exports.redaction import secrets_of_batches
from tap_autodesk_exports.settings import Settings
from tap_autodesk_exports.settings.config import (
    ENVIRONMENT,
    check_config,
    from_environment,
    read_sources,
)
from tap_autodesk_exports.settings.schema import json_schema
from tap_autodesk_exports.signals import Signals
from tap_autodesk_exports.stdout import writable
from tap_autodesk_exports.streams.batch_files import check_batches
from tap_autodesk_exports.streams.catalog import read_catalog
from tap_autodesk_exports.streams.log import quiet
from tap_autodesk_exports.streams.output import Output
from tap_autodesk_exports.streams.sdk import ConfigInput, classproperty
from tap_autodesk_exports.streams.state import read_state
from tap_autodesk_exports.threads import naming_a_lack_of_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_autodesk_exports.session import Session

Read = TypeVar("Read")
"""What is read from a file."""

BATCH_IS_ON = (
    "Setting 'batch_config' is on: rows go out as files that the target must load. Known to load "
    "them are MeltanoLabs' target-postgres and target-snowflake; some others skip them without an "
    "error, and the rows are missing. docs/loaders.md has the list."
)
"""Said once a run, since no target answers what it can do."""


class CommandLine(Tap, abc.ABC):
    """A tap whose failures are sentences, and whose exit code says how a run went."""

    config_jsonschema = json_schema(Settings)
    message_writer_class = Output

    session: Session

    @abc.abstractmethod
    def close(self) -> int:
        """End the run; return the exit code."""

    @abc.abstractmethod
    def sync(self) -> None:
        """Load what is selected."""

    @property
    def output(self) -> Output:
        """Standard output."""
        return cast("Output", self.message_writer)

    # Settings

    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check the settings in our own words, also for discovery: the SDK's show the values."""
        check_config(self._config, known(self._config))
        check_batches(self._config)
        return []

    @classproperty
    @override
    def _env_var_config(cls) -> dict[str, Any]:  # noqa: N805
        """Settings from the environment, where a value that cannot be read is a sentence."""
        return from_environment()

    # Options

    @classproperty
    @override
    def cli(cls) -> click.Command:  # noqa: N805
        """The command; to look it up sets up the log, which the environment may have wrong."""
        try:
            command: click.Command = super().cli
        except Exception as error:  # noqa: BLE001 - of logging, of YAML, of a file
            msg = (
                f"The log cannot be set up as the environment wants it ({type(error).__name__}): "
                "LOGLEVEL and TAP_AUTODESK_EXPORTS_LOGLEVEL name a level, such as INFO, and "
                "SINGER_SDK_LOG_CONFIG a YAML file that configures Python's logging."
            )
            click.echo(f"Error: {msg}", err=True)
            sys.exit(1)
        return command

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
        with cls._in_sentences():
            super(Tap, cls).invoke(about=about, about_format=about_format)
            cls.print_version(print_fn=cls.logger.info)
            tap = cls._from_cli(config, state, catalog)
            tap.finish(tap.sync)

    @classmethod
    @override
    def cb_config(
        cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]
    ) -> ConfigInput:
        files = [file for file in value if file != ENVIRONMENT]
        with cls._in_sentences():
            return ConfigInput(read_sources(files), parse_env=ENVIRONMENT in value)

    @classmethod
    @override
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        if value not in {each.value for each in CliTestOptionValue}:
            msg = "write --test, or --test=schema for the SCHEMA messages alone."
            raise click.BadParameter(msg, ctx, param)
        with cls._in_sentences():
            if value == CliTestOptionValue.All.value:
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
    ) -> Self:
        config = config or ConfigInput()
        return cls(
            config=config.config,
            state=None if state is None else _read(state, "state", read_state),
            catalog=None if catalog is None else _read(catalog, "catalog", read_catalog),
            parse_env_config=config.parse_env,
            validate_config=True,
        )

    # Start and end of the process

    @override
    def _setup_signal_handlers(self) -> None:
        """Nothing: a run waits for signals in a thread, and all else just ends."""

    def finish(self, sync: Callable[[], object]) -> NoReturn:
        """Sync, and leave the process with the exit code that says how it went.

        It is 0, 1 where a stream failed or is pending, 128 and the signal's number where one came.
        """
        signals = Signals(self.session.stop, self.output.lock, self.session.abandon)
        signals.begin()
        self.output.gone = self.session.stop.set
        try:
            # Bad settings fail here, once, and not in every stream.
            redaction = self.session.run.redaction
            redaction.keep(secrets_of_batches(self.config.get("batch_config")))
            redaction.guard()
            quiet()
            if self.config.get("batch_config"):
                self.logger.warning(BATCH_IS_ON)
            self.session.show_progress()
            sync()
        finally:
            code = self.close()
        sys.exit(128 + signals.received if signals.received else code)

    @classmethod
    @contextmanager
    def _in_sentences(cls) -> Iterator[None]:
        """Report an error of this tap as what it is: sentences, without a traceback."""
        try:
            with writable(), naming_a_lack_of_threads():
                yield
        except TapError as error:
            cls.logger.error("%s", error)  # noqa: TRY400
            sys.exit(1)


def _read(file: IO[str], what: str, read: Callable[[str, str], Read]) -> Read:
    """Return what a file holds.

    Raises:
        ConfigurationError: It cannot be read.
    """
    what = f"{what} {file.name}"
    try:
        text = file.read(LONGEST)
    except ValueError:
        msg = f"The {what} is not text in UTF-8: write it again as JSON in UTF-8."
        raise ConfigurationError(msg) from None
    except OSError as error:
        msg = f"The {what} cannot be read ({error.strerror}): name another file."
        raise ConfigurationError(msg) from None
    return read(text, what)
