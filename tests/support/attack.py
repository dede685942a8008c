"""The tap among enemies: what starts it, what watches it, and what is true of every trial.

Whatever a server, a file, a state or a setting did to it, the tap ended in time, printed no
traceback, no secret and no hashed value in any spelling, and left neither files nor processes.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import functools
import html
import json
import os
import re
import resource
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, urlsplit

from support import hostile, processes
from support.forks import Fork, Forks
from support.hostile import Hostile, edit
from tap_autodesk_exports.sandbox import Sandbox, credentials

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

TESTS = Path(__file__).resolve().parents[1]
TAP = "tap-autodesk-exports"
COMPANION = "autodesk-exports"

WITHIN = 60.0
"""Seconds in which a trial ends whatever happens, on a machine that others use too."""
PACE = 0.02
"""Length of the tap's own pauses in a trial, where 1 is their real one."""
SHORTEST = 6
"""Characters of the shortest value that is looked for."""
MEGABYTE = 1 << 20

STREAMS: dict[str, tuple[str, ...]] = {
    "insights": ("insights_usage", "insights_users"),
    "tokenflex": ("tokenflex_desktop_sessions", "tokenflex_usage"),
    "data_connector": ("admin_projects", "admin_users"),
}
"""Two streams of each API, as in the fault suite."""
APIS = tuple(STREAMS)

TOKEN = "/authentication/v2/token"
TRACES = ("Traceback (most recent call last)", "Exception ignored in", "Exception in thread",
          "Fatal Python error", "--- Logging error ---", "terminate called")  # fmt: skip
_OF_THE_MACHINE = re.compile(
    r"(?i)(https?|all|no|ftp)_proxy|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|SSL_CERT_.*|NETRC|TMPDIR"
)


# Spellings of a secret.


@functools.lru_cache(maxsize=4096)
def spellings(secret: str) -> Mapping[str, str]:
    """Return every way in which a secret may be spelled: text -> name of the spelling."""
    if "\n" in secret.strip():  # a key in PEM: each of its lines
        lines = (line for line in secret.split("\n") if len(line) > 20 and "-----" not in line)
        return {text: name for line in lines for text, name in spellings(line).items()}
    secret = secret.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    escaped = json.dumps(secret)[1:-1]
    percent = quote(secret, safe="")
    utf8 = secret.encode()
    found = {
        "raw": [secret],
        "URL": [
            percent,
            quote(secret),
            quote(secret, safe="/:"),
            quote_plus(secret),
            re.sub("%..", lambda found: found[0].lower(), percent),
            quote(percent, safe=""),
            "".join(f"%{byte:02X}" for byte in utf8),
        ],
        "JSON": [
            escaped,
            escaped.replace("/", "\\/"),
            json.dumps(secret, ensure_ascii=False)[1:-1],
            json.dumps(escaped)[1:-1],
            "".join(f"\\u{ord(c):04x}" for c in secret),
        ],
        "HTML": [
            html.escape(secret),
            html.escape(secret, quote=False),
            html.escape(secret).replace("&#x27;", "&#39;"),
            "".join(f"&#{ord(c)};" for c in secret),
            "".join(f"&#x{ord(c):x};" for c in secret),
            "".join(c if c.isalnum() else f"&#{ord(c)};" for c in secret),
        ],
        "Python": [repr(secret)[1:-1], repr(utf8)[2:-1]],
        "Base64": list(_base64(utf8)),
        "hexadecimal": [utf8.hex()],
    }
    return {
        text: name
        for name, texts in reversed(found.items())
        for text in texts
        if len(text) >= SHORTEST
    }


def _base64(data: bytes) -> Iterator[str]:
    """Yield the Base64 of data as it looks wherever in a longer text it begins."""
    if len(data) < 8:
        return
    for shift, dropped in ((0, 0), (1, 2), (2, 3)):
        text = base64.b64encode(bytes(shift) + data).decode()
        inner = text[dropped : (shift + len(data)) * 8 // 6]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")


def told(text: str, secrets: Iterable[str]) -> list[str]:
    """Return what of the secrets is in a text, each as how it is spelled and how it begins."""
    found = []
    for secret in secrets:
        for spelled, name in spellings(secret).items():
            if spelled in text:
                found.append(f"{secret[:6]!r}… ({name})")
                break
    return found


def parts_of(secret: str) -> list[str]:
    """Return what of a secret is secret by itself: of a link's query, each long value."""
    values = [value for part in secret.split("&") if len(value := part.partition("=")[2]) >= 20]
    return values if "&" in secret and values else [secret]


# Runs.


@dataclasses.dataclass(frozen=True)
class Run(processes.TapRun):
    """A run that ended.

    Attributes:
        raw: Standard output as it came.
        seconds: How long it took.
        peak: Bytes of memory that the process and its children held at most.
        disk: Bytes that its temporary files took at most; measured where a trial asks for it.
    """

    raw: bytes = b""
    seconds: float = 0.0
    peak: int = 0
    disk: int = 0

    @property
    def said(self) -> str:
        return self.raw.decode("utf-8", "replace") + "\n" + self.stderr

    def of_level(self, *levels: str) -> list[str]:
        """Return the lines of the log that have one of these levels."""
        return [line for line in self.stderr.splitlines() if any(f"| {n} " in line for n in levels)]

    @property
    def complaints(self) -> str:
        """Everything from WARNING on, and what is printed outside the log."""
        lines = self.stderr.splitlines()
        quiet = ("| DEBUG ", "| INFO ")
        return "\n".join(line for line in lines if not any(level in line for level in quiet))

    def assert_ok(self) -> None:
        assert self.code == 0, self.tail()

    def assert_sentence(self, *words: str, code: int | None = 1) -> None:
        """Check that it failed with a sentence in which one of the words is, whatever their case.

        Where several texts are given, each may hold alternatives, separated by `|`.
        """
        if code is not None:
            assert self.code == code, f"exit code {self.code}: {self.tail()}"
        complaint = self.complaints
        assert complaint.strip(), "it failed without a word"
        for word in words:
            assert re.search(word, complaint, re.IGNORECASE), f"no word of {word!r}: {self.tail()}"

    def tail(self) -> str:
        """Return what it complained of at last, or else the end of its log."""
        lines = [line for line in self.complaints.splitlines() if line.strip()]
        lines = lines or self.stderr.splitlines()
        return "\n".join(line[:300] for line in lines[-6:]) or "(no output)"


class Attempt:
    """A run of the tap, or of its companion, from its start to its end.

    Attributes:
        signalled: Whether the trial sent it a signal.
    """

    def __init__(  # noqa: PLR0913
        self,
        lab: Lab,
        command: Sequence[str],
        env: Mapping[str, str],
        *,
        pace: float | None,
        stdout: int | None,
        stderr: int | None,
        limits: Mapping[int, int],
        cwd: Path,
        measure_disk: bool,
        closed: Sequence[int],
        fast_sampling: bool,
    ) -> None:
        self.lab = lab
        self.signalled = False
        self.disk = self._peak = 0
        self._measure_disk = measure_disk
        self._pause = 0.005 if fast_sampling else 0.02
        number = lab.next_number()
        self.out, self.err = lab.folder / f"out.{number}", lab.folder / f"err.{number}"

        def prepare() -> None:
            for what, limit in limits.items():
                resource.setrlimit(what, (limit, limit))
            for descriptor in closed:
                os.close(descriptor)

        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.started = time.monotonic()
            given_out = out.fileno() if stdout is None else stdout
            given_err = err.fileno() if stderr is None else stderr
            if pace is not None:
                self.process: subprocess.Popen[bytes] | Fork = _forks().begin(
                    command, env, cwd, pace, given_out, given_err
                )
            else:
                self.process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=given_out,
                    stderr=given_err,
                    env=env,
                    cwd=cwd,
                    start_new_session=True,
                    preexec_fn=prepare if limits or closed else None,  # noqa: PLW1509
                )
        self.pid = self.process.pid

    def log(self) -> str:
        return self.err.read_text("utf-8", "replace")

    def wait_until(self, condition: Callable[[], bool], within: float = WITHIN) -> None:
        """Wait for a moment in its life."""
        until = time.monotonic() + within
        while not condition():
            assert time.monotonic() < until, f"The moment did not come: {self.log()[-2000:]}"
            assert self._reaped() is None, f"It ended before the moment: {self.log()[-2000:]}"
            time.sleep(0.005)

    def send(self, number: int) -> None:
        self.signalled = True
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def _reaped(self) -> int | None:
        """Return how it ended, or None while it runs."""
        if isinstance(self.process, Fork):
            self.process.poll()
            self._peak = max(self._peak, self.process.peak)
        elif self.process.returncode is None:
            pid, status, used = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self._peak = max(self._peak, used.ru_maxrss * 1024)
                self.process.returncode = os.waitstatus_to_exitcode(status)
        return self.process.returncode

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()

    def _sample(self) -> None:
        self._peak = max(self._peak, sum(_resident(pid) for pid in _family(self.pid)))
        if self._measure_disk:
            self.disk = max(self.disk, _size(self.lab.temporary))

    def end(self, within: float = WITHIN, *, checked: bool = True) -> Run:
        """Wait for its end, and check what is true of every trial.

        Args:
            within: Seconds from now; a process that is still there then is killed.
            checked: Whether to check; without it a run is only looked at.
        """
        until = time.monotonic() + within
        while (code := self._reaped()) is None and time.monotonic() < until:
            self._sample()
            time.sleep(self._pause)
        seconds = time.monotonic() - self.started
        if code is None:
            self._kill()
        left = self._processes_left()
        raw = self.out.read_bytes()
        messages = [
            message
            for line in raw.split(b"\n")
            if line.startswith(b"{") and isinstance(message := _parsed(line), dict)
        ]
        run = Run(
            [m for m in messages if "type" in m],
            self.log(),
            -signal.SIGKILL if code is None else code,
            raw,
            seconds,
            self._peak,
            self.disk,
        )
        if checked:
            assert code is not None, f"it did not end in {within:.0f} s: {run.tail()}"
            self.lab.check(run, self, left)
        return run

    def _processes_left(self) -> bool:
        """Whether processes of its session are still there, half a second after its end."""
        for _ in range(50):
            try:
                os.killpg(self.pid, 0)
            except ProcessLookupError:
                return False
            time.sleep(0.01)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return True


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _family(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(OSError, ValueError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            children = (task / "children").read_text(encoding="ascii")
            for child in children.split():
                yield from _family(int(child))


def _resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return 0
    return pages * resource.getpagesize()


def _size(folder: Path) -> int:
    total = 0
    for directory, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(directory, name)).st_blocks * 512  # noqa: PTH118
    return total


class Lab:
    """A sandbox, a hostile server in front of it, a stranger, and folders for one trial.

    Attributes:
        front: The hostile server; its address is the tap's `api_url`.
        stranger: Another host, which nothing of ours may reach.
        secrets: What must not be told, besides what the sandbox knows and the settings hold.
        hashed: What is hashed, so that it must not be told either.
    """

    def __init__(self, folder: Path, certificates: Certificates | None = None) -> None:
        self.folder = folder
        self.certificates = certificates
        self.sandbox = Sandbox(scale=0.1, job_seconds=0)
        self.sandbox.start()
        self.front = Hostile(self.sandbox.url)
        self.stranger = Hostile()
        self._servers = [self.front, self.stranger]
        self.secrets: list[str] = []
        self.hashed: list[str] = []
        self.temporary = folder / "tmp"
        self.home = folder / "home"
        for path in (self.temporary, self.home):
            path.mkdir()
        self._numbers = iter(range(10**6))
        self._begun: list[Attempt] = []

    @property
    def access_token(self) -> str:
        """A user's token, which the sandbox takes."""
        return str(self.sandbox.settings()["access_token"])

    @property
    def with_pat(self) -> dict[str, Any]:
        """Settings of a sign-in with client credentials and a personal access token."""
        known = self.sandbox.authentication.known
        return {
            "auth_flow": "client_credentials",
            "access_token": None,
            "client_id": credentials.CLIENT_ID,
            "client_secret": known.client_secret,
            "personal_access_token": known.personal_access_token,
        }

    @property
    def with_refresh_token(self) -> dict[str, Any]:
        """Settings of a sign-in with a refresh token."""
        known = self.sandbox.authentication.known
        return {
            "auth_flow": "refresh_token",
            "access_token": None,
            "client_id": credentials.CLIENT_ID,
            "client_secret": known.client_secret,
            "refresh_token": known.refresh_token,
        }

    def close(self) -> None:
        for attempt in self._begun:
            if attempt.process.returncode is None:
                attempt.end(0, checked=False)
        for server in self._servers:
            server.stop()
        self.sandbox.stop()

    def next_number(self) -> int:
        return next(self._numbers)

    def server(
        self,
        upstream: str = "",
        tls: ssl.SSLContext | None = None,
        inner_tls: ssl.SSLContext | None = None,
    ) -> Hostile:
        """Return a further hostile server."""
        server = Hostile(upstream, tls, inner_tls)
        self._servers.append(server)
        return server

    def config(self, *apis: str, **more: Any) -> dict[str, Any]:
        """Return settings for the sandbox behind the hostile server."""
        return {
            **self.sandbox.settings(),
            "api_url": self.front.url,
            "apis": list(apis or APIS),
            "data_connector_service_groups": ["admin"],
            "data_connector_extract": "new",
            "insights_export_scope": "all_teams",
            **period(),
            "lookback_days": 0,
            **more,
        }

    def environment(self, **env: str) -> dict[str, str]:
        ours = {
            name: value
            for name, value in processes.clean_environment().items()
            if not _OF_THE_MACHINE.fullmatch(name)
        }
        return {
            **ours,
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home / "state"),
            "TMPDIR": str(self.temporary),
            "TAP_AUTODESK_EXPORTS_LOGLEVEL": "DEBUG",
            "PYTHONPATH": str(TESTS),
            **env,
        }

    def begin(  # noqa: PLR0913
        self,
        config: Any = None,
        *arguments: str,
        streams: Iterable[str] | None = None,
        state: Any = None,
        catalog: Any = None,
        env: Mapping[str, str] | None = None,
        program: str = TAP,
        pace: float = PACE,
        stdout: int | None = None,
        stderr: int | None = None,
        limits: Mapping[int, int] | None = None,
        before: Sequence[str] = (),
        by_name: bool = False,
        cwd: Path | None = None,
        measure_disk: bool = False,
        closed: Sequence[int] = (),
        fast_sampling: bool = False,
    ) -> Attempt:
        """Start the tap.

        Args:
            config: Its settings: an object, or the text of the file; None: no file.
            arguments: Further arguments.
            streams: The selected streams; None: those that the catalog or the tap itself selects.
            state: Its state: an object, or the text of the file.
            catalog: Its catalog: an object, or the text of the file.
            env: Further environment variables.
            program: The tap or its companion.
            pace: Length of its pauses. The installed program itself runs where it is 1, and where
                the process begins in another way: behind a command, with limits, without a file.
            stdout: File descriptor of its standard output, in place of a file.
            stderr: The same for its standard error.
            limits: Resource limits.
            before: A command in front of the command, such as one that drops privileges.
            by_name: Whether that command is given the program's name and not its path.
            cwd: Working directory.
            measure_disk: Whether to measure its temporary files.
            closed: File descriptors that are closed before it starts.
            fast_sampling: Whether its memory is looked at more often.
        """
        given = {"config": config, "state": state, "catalog": catalog}
        if streams is not None:
            given["catalog"] = self.catalog(config, streams)
        self._note_secrets(config)
        files = []
        for name, content in given.items():
            if content is not None:
                path = self.folder / f"{name}.json"
                _write(path, content)
                files += [f"--{name}", str(path)]
        is_forked = pace != 1 and not (before or limits or closed)
        command = [program if by_name or is_forked else str(processes.BIN / program)]
        if program != TAP:  # a companion's command comes before its options
            files, arguments = [*arguments[:1], *files], arguments[1:]
        attempt = Attempt(
            self,
            [*before, *command, *files, *arguments],
            self.environment(**(env or {})),
            pace=pace if is_forked else None,
            stdout=stdout,
            stderr=stderr,
            limits=limits or {},
            cwd=cwd or self.folder,
            measure_disk=measure_disk,
            closed=closed,
            fast_sampling=fast_sampling,
        )
        self._begun.append(attempt)
        return attempt

    def run(
        self, config: Any = None, *arguments: str, within: float = WITHIN, **options: Any
    ) -> Run:
        """Start the tap and wait for its end (see `begin` and `Attempt.end`)."""
        return self.begin(config, *arguments, **options).end(within)

    def catalog(self, config: Mapping[str, Any], streams: Iterable[str]) -> dict[str, Any]:
        """Return what discovery finds, with just these streams selected."""
        kept = ("apis", "data_connector_service_groups", "tokenflex_exports")
        chosen = {name: config[name] for name in kept if config.get(name)}
        found = _discovered(json.dumps(chosen, sort_keys=True))
        wanted = [json.loads(json.dumps(found[name])) for name in streams]
        for stream in wanted:
            for entry in stream["metadata"]:
                entry["metadata"]["selected"] = True
        return {"streams": wanted}

    def plant(self, *values: str) -> None:
        """Remember values that must not be told."""
        self.secrets += values

    def _note_secrets(self, config: Any) -> None:
        secret = ("secret", "token", "key", "password")
        for name, value in config.items() if isinstance(config, dict) else ():
            if name in {"token_store", "service_account_key_id"}:
                continue
            values = value.values() if name == "credentials" and isinstance(value, dict) else ()
            for inner in values:
                self._note_secrets(inner)
            if isinstance(value, str) and any(word in name for word in secret):
                self.secrets.append(value)

    def known_secrets(self) -> set[str]:
        return {
            part
            for secret in (*self.secrets, *self.sandbox.secrets())
            for part in parts_of(secret)
            if len(part) >= SHORTEST
        }

    def check(self, run: Run, attempt: Attempt, left: bool) -> None:  # noqa: FBT001
        """Check what is true of every trial."""
        traces = [trace for trace in TRACES if trace in run.said]
        assert not traces, f"a traceback: {_end_of_trace(run.said, traces[0])}"
        if not attempt.signalled:
            assert run.code >= 0, f"it was ended by signal {-run.code}: {run.tail()}"
        self.assert_nothing_told(run.said)
        assert not left, "it left processes behind"
        files = [str(path.relative_to(self.temporary)) for path in self.temporary.rglob("*")]
        self.assert_nothing_told("\n".join(files))
        ours = [
            name
            for name in files
            if not self.is_planted(name) and not _is_hollow(self.temporary / name)
        ]
        if run.code != -signal.SIGKILL:
            assert not ours, f"it left temporary files: {ours[:3]}"

    planted_files: frozenset[str] = frozenset()

    def is_planted(self, name: str) -> bool:
        """Whether a file in the temporary folder was put there by the trial."""
        return name.split("/", maxsplit=1)[0] in self.planted_files

    def assert_nothing_told(self, text: str) -> None:
        secrets = told(text, self.known_secrets())
        assert not secrets, f"a secret was told: {', '.join(secrets[:3])}: {self._line(text)}"
        hashed = told(text, self.hashed)
        assert not hashed, f"a hashed value was told: {', '.join(hashed[:3])}: {self._line(text)}"

    def _line(self, text: str) -> str:
        """Return the first line that tells something, cut around it."""
        for secret in (*self.known_secrets(), *self.hashed):
            for spelled in spellings(secret):
                if spelled in text:
                    return _around(text, spelled)
        return ""


def _is_hollow(path: Path) -> bool:
    """Whether nothing is in it: a folder alone, or a lock, which others may wait for."""
    return path.is_dir() or (path.suffix == ".lock" and path.stat().st_size == 0)


def _end_of_trace(text: str, trace: str) -> str:
    """Return the line that names the exception, or what follows the mark of a trace."""
    lines = text[text.index(trace) :].splitlines()
    named = [line for line in lines[1:] if (line[:1].isalpha() and ": " in line) or "Error" in line]
    return " / ".join([*lines[:1], *named[:1]])[:400]


def _around(text: str, what: str, width: int = 160) -> str:
    at = text.index(what)
    return repr(text[max(0, at - width) : at + width])


_forking: list[Forks] = []
"""What forks this test process's runs; it ends with the test process."""


def _forks() -> Forks:
    if not _forking or not _forking[-1].is_alive:
        _forking.append(Forks(processes.clean_environment()))
    return _forking[-1]


def _write(path: Path, content: Any) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")


def period() -> dict[str, str]:
    """Three weeks of a past month, which every trial asks for."""
    from support.cases import PERIOD

    return PERIOD


@functools.cache
def _discovered(chosen: str) -> dict[str, Any]:
    """Return stream -> catalog entry."""
    environment = {
        **processes.clean_environment(),
        **{
            f"TAP_AUTODESK_EXPORTS_{name.upper()}": json.dumps(value)
            for name, value in {**json.loads(chosen), "access_token": "none"}.items()
        },
    }
    environment["TAP_AUTODESK_EXPORTS_ACCESS_TOKEN"] = "none"
    found = subprocess.run(
        [str(processes.BIN / TAP), "--config=ENV", "--discover"],
        check=True,
        capture_output=True,
        env=environment,
    )
    return {stream["tap_stream_id"]: stream for stream in json.loads(found.stdout)["streams"]}


# Certificates that this suite signs for itself.


class Certificates:
    """A certificate authority of the suite's own, and what it signs.

    Attributes:
        bundle: PEM file with the authority's certificate.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._authority = _authority("The suite's own authority")
        self.bundle = folder / "authority.pem"
        self.bundle.write_bytes(_pem(self._authority[0]))

    def context(
        self, *names: str, days: tuple[int, int] = (-1, 30), trusted: bool = True
    ) -> ssl.SSLContext:
        """Return a server's context with a certificate for these names.

        Args:
            names: Host names and addresses.
            days: From and to when it is good, counted from today.
            trusted: Whether the authority of `bundle` signs it, or another one.
        """
        import ssl

        authority = self._authority if trusted else _authority("Nobody's authority")
        with self._lock:
            path = self.folder / f"{len(list(self.folder.iterdir()))}.pem"
            path.write_bytes(_leaf(authority, names, days))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


def _authority(name: str) -> tuple[Any, Any]:
    return _certificate(name, (), (-1, 30), None)


def _pem(certificate: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    pem: bytes = certificate.public_bytes(serialization.Encoding.PEM)
    return pem


def _leaf(authority: tuple[Any, Any], names: Sequence[str], days: tuple[int, int]) -> bytes:
    from cryptography.hazmat.primitives import serialization

    certificate, key = _certificate(names[0], names, days, authority)
    private: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private + _pem(certificate)


def _certificate(
    subject: str, names: Sequence[str], days: tuple[int, int], issuer: tuple[Any, Any] | None
) -> tuple[Any, Any]:
    import datetime as dt
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
    now = dt.datetime.now(dt.UTC)
    begin, end = (now + dt.timedelta(days=count) for count in days)
    public = key.public_key()
    signer = issuer[1] if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer[0].subject if issuer else name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=True, content_commitment=False, key_encipherment=False,
                data_encipherment=False, key_agreement=False, key_cert_sign=issuer is None,
                crl_sign=issuer is None, encipher_only=False, decipher_only=False,
            ),
            critical=True,
        )
    )  # fmt: skip
    if names:
        shown: list[x509.GeneralName] = []
        for one in names:
            try:
                shown.append(x509.IPAddress(ipaddress.ip_address(one)))
            except ValueError:
                shown.append(x509.DNSName(one))
        builder = builder.add_extension(x509.SubjectAlternativeName(shown), critical=False)
    return builder.sign(signer, hashes.SHA256()), key


def host_of(url: str) -> str:
    return urlsplit(url).netloc


# Where the steps of an export are, API by API.

POINTS: dict[str, dict[str, str]] = {
    "insights": {
        "list": "GET /insights/v1/exports",
        "submit": "POST /insights/v1/exports",
        "poll": "GET /insights/v1/exports/*",
        "link": "GET /insights/v1/exports/*",
        "file": "GET /storage/insights/*",
    },
    "tokenflex": {
        "list": "GET /tokenflex/v1/contract",
        "submit": "POST /tokenflex/v1/export/*/requests",
        "poll": "GET /tokenflex/v1/export/*/requests/*",
        "link": "POST /tokenflex/v1/export/*/refreshUrl",
        "file": "GET /storage/tokenflex/*",
    },
    "data_connector": {
        "list": "GET /data-connector/v1/accounts/*/requests",
        "submit": "POST /data-connector/v1/accounts/*/requests",
        "poll": "GET /data-connector/v1/accounts/*/jobs",
        "link": "GET /data-connector/v1/accounts/*/data/*",
        "file": "GET /storage/data_connector/*",
    },
}
"""The first list that each API is asked for, and the steps that follow."""


def with_link(api: str, link: Callable[[str], str]) -> Callable[[Any], Any]:
    """Return what changes the links in an API's answer, to be used with `hostile.edit`."""
    names = {"insights": "downloadURL", "tokenflex": "downloadUrl", "data_connector": "signedUrl"}

    def change(content: Any) -> Any:
        if isinstance(content, list):
            return [change(entry) for entry in content]
        if isinstance(content, dict):
            return {
                name: link(value) if name == names[api] and value else change(value)
                for name, value in content.items()
            }
        return content

    return change


def set_links(server: Hostile, api: str, link: Callable[[str], str]) -> None:
    """Have a server give other links than the sandbox does."""
    for point in ("poll", "link"):
        server.on(POINTS[api][point], edit(with_link(api, link)))


# Files.


def serve(
    lab: Lab, api: str, action: hostile.Action, *, name: str = "admin_users.csv", size: int = 0
) -> hostile.Rule:
    """Have `action` answer the downloads of an API.

    Args:
        lab: Where.
        api: The API.
        action: Answers a download.
        name: The only file of a Data Connector extract.
        size: Its size according to the listing.
    """
    if api == "data_connector":
        point = POINTS[api]["link"].replace("/data/", "/data-listing")[: -len("*")]
        lab.front.on(point, edit(lambda files: [{**files[0], "name": name, "size": size}]))

        def link(exchange: hostile.Exchange) -> None:
            content = {"name": name, "size": size, "signedUrl": f"{lab.front.url}/files/{name}"}
            hostile.json_answer(content)(exchange)

        lab.front.on(POINTS[api]["link"], link)
        return lab.front.on("GET /files/*", action)
    return lab.front.on(POINTS[api]["file"], action)


def serve_bytes(
    lab: Lab, api: str, data: bytes, *, name: str = "admin_users.csv", kind: str = "text/csv"
) -> hostile.Rule:
    """Serve these bytes as the file of every export of an API."""
    action = hostile.answer(200, data, Content_Type=kind)
    return serve(lab, api, action, name=name, size=len(data))


def csv_bytes(rows: Iterable[Sequence[str | None]]) -> bytes:
    """Return a CSV file; None is an empty field without quotes."""
    return b"".join(
        ",".join("" if cell is None else _quoted(cell) for cell in row).encode() + b"\n"
        for row in rows
    )


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if cell == "" or set(cell) & set(',"\r\n') else cell
