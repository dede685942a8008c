"""The sandbox as a server: OAuth, the three APIs, storage and admin endpoints on one port."""

from __future__ import annotations

import ipaddress
import logging
import re
import tempfile
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import flask
from werkzeug.http import http_date

from tap_autodesk_exports.sandbox.admin import Admin
from tap_autodesk_exports.sandbox.authentication import Authentication
from tap_autodesk_exports.sandbox.clock import SandboxClock
from tap_autodesk_exports.sandbox.data.names import Names
from tap_autodesk_exports.sandbox.data.world import PROJECTS, World
from tap_autodesk_exports.sandbox.data_connector.api import DataConnector
from tap_autodesk_exports.sandbox.faults import Faults
from tap_autodesk_exports.sandbox.insights.api import Insights
from tap_autodesk_exports.sandbox.record import Record, Request
from tap_autodesk_exports.sandbox.services import Services
from tap_autodesk_exports.sandbox.serving import Handler, Server
from tap_autodesk_exports.sandbox.storage import Storage
from tap_autodesk_exports.sandbox.stranger import Stranger
from tap_autodesk_exports.sandbox.tokenflex.api import TokenFlex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from wsgiref.types import StartResponse, WSGIEnvironment

    from tap_autodesk_exports.sandbox.behaviour import Behaviour
    from tap_autodesk_exports.sandbox.credentials import Secrets
    from tap_autodesk_exports.sandbox.record import Posted, Served

# Requests are in the record; werkzeug need not log them too.
logging.getLogger("werkzeug").setLevel(logging.ERROR)


RUNNING: weakref.WeakValueDictionary[str, Sandbox] = weakref.WeakValueDictionary()
"""Base URL -> the sandbox of this process that serves it, or did last."""
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::\d+)?")
"""The `Host` of a request: a name or an address, and perhaps a port (RFC 9110, 7.2)."""
_MISDIRECTED = "The sandbox answers requests to this machine's own name only.\n"


def is_loopback(host: str) -> bool:
    """Return whether a name or address can only mean this machine.

    A page in a browser may have its own name resolve to 127.0.0.1 (DNS rebinding): its requests
    arrive, but with that name as their host.
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host_of(environ: WSGIEnvironment) -> str:
    """Return the host that a request names, without its port; empty where it names none, or two."""
    found = _HOST.fullmatch(environ.get("HTTP_HOST", ""))
    return found[1].strip("[]") if found else ""


class Sandbox:
    """A local imitation of the three Autodesk APIs.

    Args:
        seed: Determines the made-up data.
        scale: Multiplies people and rows; 1 is about 60 000 rows in a year.
        accounts: Number of Data Connector accounts, each with its own data.
        projects: Projects of each account.
        extract: A folder of real CSV files to serve as the Data Connector extract, unchanged.
        job_seconds: How long an export takes on the server; a function is called for each.
        clock: The sandbox's time.
        folder: Where served files are kept; a temporary folder, removed by `stop`, by default.
        secrets: The secrets of the apps and the user; random by default.

    Attributes:
        url: The base URL while it serves.
        clock: The clock, which tests set or advance.
        faults: The faults that are switched on.
        authentication: The OAuth server.
        stranger: Another server, to which redirects lead.
        names: Today's names of teams, products and groups.
        insights: The Insights API and its switches.
        tokenflex: The Token Flex API and its switches.
        data_connector: The Data Connector API and its switches.
        storage: The files behind links and its switches.
    """

    def __init__(  # noqa: PLR0913
        self,
        *,
        seed: int = 1,
        scale: float = 1.0,
        accounts: int = 1,
        projects: int = PROJECTS,
        extract: Path | None = None,
        job_seconds: float | Callable[[], float] = 0.5,
        clock: SandboxClock | None = None,
        folder: Path | None = None,
        secrets: Secrets | None = None,
    ) -> None:
        self.clock = clock or SandboxClock()
        self.url = ""
        self.stranger = Stranger()
        self.faults = Faults(self.clock, self._go_away, lambda: self.stranger.url)
        self.names = Names()
        # Real files are for whoever has the token; the consent page would hand one to anybody.
        self.authentication = Authentication(self.clock, secrets, sign_in=extract is None)
        self._temporary = tempfile.TemporaryDirectory(prefix="sandbox-") if folder is None else None
        root = Path(self._temporary.name) if self._temporary else Path(folder or ".")
        self._record = Record()
        world = World(seed, scale, projects)
        others = (World(seed + 1000 * n, scale, projects) for n in range(1, accounts))
        self._services = Services(
            clock=self.clock,
            world=world,
            names=self.names,
            storage=Storage(self.clock, self._record),
            record=self._record,
            authentication=self.authentication,
            faults=self.faults,
            job_seconds=job_seconds,
        )
        self.storage = self._services.storage
        self.insights = Insights(self._services, root / "insights")
        self.tokenflex = TokenFlex(self._services, root / "tokenflex")
        self.data_connector = DataConnector(
            self._services, root / "data_connector", extract, [world, *others]
        )
        self.app = self._application()
        self._faulty = self.faults.around(self.app.wsgi_app, self.app.url_map)
        self._server: Server | None = None
        self._serving = threading.Lock()
        self._returning: threading.Thread | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def _application(self) -> flask.Flask:
        app = flask.Flask(__name__, static_folder=None)
        app.json.sort_keys = False  # type: ignore[attr-defined]
        for blueprint in (
            self.authentication.blueprint,
            self.insights.blueprint,
            self.tokenflex.blueprint,
            self.data_connector.blueprint,
            self._services.storage.blueprint,
            Admin(self).blueprint,
        ):
            app.register_blueprint(blueprint)
        return app

    def _serve(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer a request and record it; status 0 is a connection that was dropped."""
        path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        if query and not path.startswith(("/storage/", "/authentication/")):
            path = f"{path}?{query}"
        statuses = [0]

        def begin(
            status: str,
            headers: list[tuple[str, str]],
            *arguments: Any,  # noqa: ANN401
        ) -> Callable[[bytes], object]:
            statuses.append(int(status.split(maxsplit=1)[0]))
            if not any(name.lower() == "date" for name, _ in headers):
                headers = [*headers, ("Date", http_date(self.clock.now()))]
            return start(status, headers, *arguments)

        try:
            if not is_loopback(_host_of(environ)):
                return flask.Response(_MISDIRECTED, 421)(environ, begin)
            return self._faulty(environ, begin)
        finally:
            if not path.startswith("/sandbox/"):
                self._record.add(Request(environ["REQUEST_METHOD"], path, statuses[-1]))

    def start(self, port: int = 0, host: str = "127.0.0.1") -> str:
        """Serve in background threads on `port` (0: a free one); return the base URL.

        Raises:
            ValueError: `host` is not an address of this machine alone.
        """
        if not is_loopback(host):
            msg = (
                f"The sandbox serves this machine only: {host!r} is not a loopback address. "
                "Use 127.0.0.1, ::1 or localhost."
            )
            raise ValueError(msg)
        with self._serving:
            self._listen(host, port)
        return self.url

    def _listen(self, host: str, port: int) -> None:
        self._server = Server(host, port, self._serve, Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},
            name="sandbox",
            daemon=True,
        )
        self._thread.start()
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._server.server_port}"
        RUNNING[self.url] = self

    def _hang_up(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = self._thread = None

    def _go_away(self, seconds: float) -> None:
        """Refuse connections for `seconds`, then listen on the same port again."""
        server = self._server
        if server is None:
            return
        host, port = server.host, server.server_port

        def away() -> None:
            with self._serving:
                self._hang_up()
                if not self._stopped.wait(seconds):
                    self._listen(host, port)

        self._returning = threading.Thread(target=away, name="sandbox-away", daemon=True)
        self._returning.start()

    def stop(self) -> None:
        """Stop serving and remove the temporary folder, if one was used."""
        self._stopped.set()
        self.faults.stop()
        self.stranger.stop()
        if self._returning is not None:
            self._returning.join()
        with self._serving:
            self._hang_up()
        if self._temporary is not None:
            self._temporary.cleanup()

    def __enter__(self) -> Self:
        """Start serving on a free port, unless it is serving already."""
        if self._server is None:
            self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop serving."""
        self.stop()

    def settings(self) -> dict[str, Any]:
        """Return the tap's settings for this sandbox: a user's token, good for all three APIs.

        Each call makes that token valid for another hour of the sandbox's clock.
        """
        self.authentication.renew_ready_token()
        return {
            "api_url": self.url,
            "auth_flow": "access_token",
            "access_token": self.token,
            "credentials": {},  # those of a user are for another host
            "data_connector_account_ids": self.account_ids,
        }

    @property
    def parts(self) -> dict[str, Behaviour]:
        """The parts that have switches, by the names under which `switch` knows them."""
        return {
            "insights": self.insights,
            "tokenflex": self.tokenflex,
            "data_connector": self.data_connector,
            "storage": self.storage,
            "names": self.names,
        }

    def switch(self, given: Mapping[str, Mapping[str, Any]]) -> None:
        """Set switches of several parts from JSON: part -> switch -> value; all of them, or none.

        Raises:
            ValueError: There is no such part or switch, or it does not take such a value.
        """
        for name, settings in given.items():
            if name not in self.parts or not isinstance(settings, dict):
                msg = f"There is no part {name!r}, only {', '.join(self.parts)}, each an object."
                raise ValueError(msg)
            self.parts[name].checked(settings)
        for name, settings in given.items():
            self.parts[name].change(settings)

    @property
    def token(self) -> str:
        """The access token of `settings`, which also opens the admin endpoints; random."""
        return self.authentication.known.access_token

    @property
    def account_id(self) -> str:
        """The first Data Connector account."""
        return self._services.world.account_id

    @property
    def account_ids(self) -> list[str]:
        """All Data Connector accounts."""
        return list(self.data_connector.tables)

    @property
    def served(self) -> list[Served]:
        """Every file and list that was sent completely, in order."""
        return self._record.served

    @property
    def requests(self) -> list[Request]:
        """Every request to OAuth, the APIs and the storage, in order."""
        return self._record.requests

    @property
    def exports(self) -> list[Posted]:
        """Every export that was requested, in order."""
        return self._record.exports

    def secrets(self) -> list[str]:
        """Return everything secret that was handed out: tokens, queries of signed links."""
        return [*self.authentication.secrets(), *self._record.secrets]
