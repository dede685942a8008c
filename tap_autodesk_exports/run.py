"""All that one run of the tap shares: APIs, exports that are under way, temporary files."""

from __future__ import annotations

import datetime as dt
import functools
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.autodesk.data_connector import DataConnector, DataConnectorExports
from tap_autodesk_exports.autodesk.http import ApiContext
from tap_autodesk_exports.autodesk.insights import Insights, InsightsExports
from tap_autodesk_exports.autodesk.tokenflex import TokenFlex, TokenFlexExports
from tap_autodesk_exports.exports.download import Downloader
from tap_autodesk_exports.exports.ledger import Ledger
from tap_autodesk_exports.exports.runner import Runner
from tap_autodesk_exports.redaction import Redaction
from tap_autodesk_exports.signin import SignIn
from tap_autodesk_exports.tables.engine import Engine
from tap_autodesk_exports.workspace import Workspace

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from tap_autodesk_exports.clock import Clock
    from tap_autodesk_exports.exports.export import ExportFile, ExportService, FinishedExport
    from tap_autodesk_exports.settings import Settings
    from tap_autodesk_exports.streams.output import Output


class Run:
    """One run.

    Args:
        settings: The settings.
        output: Where STATE messages go.
        pending: The exports that the last run left pending, from the state.
        stop: Set to end every wait.
        clock: Tells the time and waits.

    Raises:
        ConfigurationError: The credentials are incomplete or contradict one another.
    """

    def __init__(
        self,
        settings: Settings,
        output: Output,
        pending: list[dict[str, Any]],
        stop: threading.Event,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.stop = stop
        self.sign_in = SignIn.from_settings(settings, self.clock)
        self.redaction = Redaction(self._secrets)
        context = ApiContext(settings.api_url, self.sign_in, self.clock, stop)
        self.insights = Insights(context)
        self.tokenflex = TokenFlex(context)
        self._tokenflex_last: dict[str, list[dict[str, Any]]] = {}
        self.data_connector = DataConnector(context)
        exports: tuple[ExportService, ...] = (
            InsightsExports(self.insights),
            TokenFlexExports(self.tokenflex),
            DataConnectorExports(self.data_connector),
        )
        self._services = {service.name: service for service in exports}
        self.ledger = Ledger(pending, output.lock, output.publish_pending)
        self.ledger.forget_expired(self.clock.now())
        output.pending = self.ledger.entries
        self.runner = Runner(
            self._services,
            self.ledger,
            self.clock,
            stop,
            at_once=settings.max_concurrent_exports,
            longest_pause=settings.poll_interval_seconds,
            timeout=settings.export_timeout_minutes * 60,
        )
        self._downloader = Downloader(self.clock, stop, self.redaction.keep_link)
        self.workspace = Workspace()
        self.engine = Engine(self.workspace.path)

    def _secrets(self) -> list[str]:
        return [*self.sign_in.secrets(), *filter(None, [self.settings.hash_key])]

    @functools.cached_property
    def lookback(self) -> dt.timedelta:
        """How far behind the bookmark usage is read again."""
        return dt.timedelta(days=self.settings.lookback_days)

    @functools.cached_property
    def insights_teams(self) -> list[dict[str, Any]]:
        """The teams of the user, asked for once in a run."""
        return self.insights.contexts()

    @functools.cached_property
    def tokenflex_contracts(self) -> list[dict[str, Any]]:
        """The contracts of the user, asked for once in a run."""
        return self.tokenflex.contracts()

    def tokenflex_last(self, contract: str) -> list[dict[str, Any]]:
        """What was used and processed last in a contract, asked for once in a run."""
        if contract not in self._tokenflex_last:
            self._tokenflex_last[contract] = self.tokenflex.last(contract)
        return self._tokenflex_last[contract]

    def fetch(self, finished: FinishedExport, file: ExportFile, folder: Path) -> Path:
        """Fetch a file of a finished export into a folder.

        Raises:
            TapError: It could not be fetched whole.
        """
        return self._downloader.fetch(
            self._services[finished.pending.spec.api], finished, file, folder
        )

    def close(self) -> None:
        """End waits and threads, and remove temporary files."""
        self.runner.close()
        self.engine.close()
        self.workspace.close()
