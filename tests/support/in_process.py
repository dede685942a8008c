"""The tap in this process, on the sandbox's time: waiting moves that time on and takes none."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
import logging
import signal
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any

from support import processes
from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.clock import Clock
from tap_autodesk_exports.tap import TapAutodeskExports

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping

    from tap_autodesk_exports.sandbox import Sandbox

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class SandboxTime(Clock):
    """The sandbox's time, as the tap's clock; `ahead` makes it show another one."""

    def __init__(self, sandbox: Sandbox, ahead: dt.timedelta = dt.timedelta(0)) -> None:
        self._clock = sandbox.clock
        self._ahead = ahead

    def now(self) -> dt.datetime:
        return self._clock.now() + self._ahead

    def monotonic(self) -> float:
        return (self._clock.now() - EPOCH).total_seconds()

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        self._clock.advance(seconds)
        return stop.is_set()


def run(  # noqa: PLR0913
    sandbox: Sandbox,
    config: Mapping[str, Any],
    *streams: str,
    state: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    sink: IO[bytes] | None = None,
    found: Mapping[str, Any] | None = None,
    ahead: dt.timedelta = dt.timedelta(0),
) -> processes.TapRun:
    """Run the tap with the sandbox's settings and `config`; what it said is returned.

    Nothing that it says may hold a secret of the sandbox.

    Args:
        sandbox: A running sandbox.
        config: Further settings.
        streams: The selected streams.
        state: The state to begin with.
        metadata: Further metadata of each stream, such as a replication method.
        found: The catalog; without it, discovery comes first.
        sink: Where its output goes besides, such as a target.
        ahead: How far the tap's clock is ahead of the sandbox's.
    """
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    groups = sorted({stream.partition("_")[0] for stream in streams} - {*Api, "data"})
    settings = {**sandbox.settings(), "data_connector_service_groups": groups, **config}
    known = set(sandbox.secrets())
    with the_log() as log, signals_kept(), contextlib.redirect_stdout(output):
        tap = TapAutodeskExports(
            config=settings,
            state=json.loads(json.dumps(state or {})),
            catalog=dict(found) if found else catalog(settings, *streams, metadata=metadata),
            validate_config=True,
        )
        tap.session.clock = SandboxTime(sandbox, ahead)
        try:
            tap.sync()
        finally:
            code = tap.close()
    if sink:
        sink.write(output.buffer.getvalue())  # type: ignore[attr-defined]
    raw = output.buffer.getvalue().decode()  # type: ignore[attr-defined]
    said = raw + "\n".join(log)
    # Those that this run was given: over a year of runs, looking for all would take hours.
    given = known.intersection(value for value in settings.values() if isinstance(value, str))
    assert processes.secrets_in(said, given | set(sandbox.secrets()) - known) == []
    messages = [json.loads(line, parse_float=Decimal) for line in raw.split("\n") if line]
    return processes.TapRun(messages, "\n".join(log), code)


def catalog(
    settings: Mapping[str, Any], *streams: str, metadata: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what discovery finds with some settings, with just these streams selected."""
    discovered = TapAutodeskExports(config=dict(settings)).catalog_dict["streams"]
    found = [entry for entry in discovered if entry["tap_stream_id"] in streams]
    assert len(found) == len(streams), streams
    for entry in (found := json.loads(json.dumps(found))):
        for node in entry["metadata"]:
            node["metadata"]["selected"] = True
            if not node["breadcrumb"]:
                node["metadata"].update(metadata or {})
        # As Meltano does it.
        entry.update({name.replace("-", "_"): value for name, value in (metadata or {}).items()})
    return {"streams": found}


@contextlib.contextmanager
def the_log() -> Iterator[list[str]]:
    """Yield the log's lines, as they come, in the order of level, name, message."""
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.levelname:8} | {record.name:30} | {record.getMessage()}")

    handler, root = Lines(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


@contextlib.contextmanager
def signals_kept() -> Iterator[None]:
    """Give back the handlers of signals, which a tap takes for itself."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
