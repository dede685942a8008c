"""`make targets`: load the same cells into every target, compare what arrived, and write the page.

Each way of a target loads three times into its own place: all rows, fewer rows with
ACTIVATE_VERSION, and a third of the rows with other cells. Then each target is offered BATCH files
of every encoding, and a larger table against the clock; and `meltano run` loads with the
configuration that the page recommends. What is found goes to `found.json`; the page,
docs/loaders.md, follows from it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import page
import requests
import stores
from judge import Finding, judge
from known_targets import TARGETS
from meltano_run import meltano_run
from messages import ENCODINGS, LOADS, WHOLE_ENCODING, Load, Runs
from target import ENVIRONMENTS, Place, Target, Way

if TYPE_CHECKING:
    from collections.abc import Iterator

    from messages import Table

START_SECONDS = 60
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Invalid)")
VARYING = ("_export_id", "_exported_at")
"""What differs between two exports of the same rows."""


@dataclass
class Ran:
    """How a run of a target ended.

    Attributes:
        code: Its exit code.
        seconds: How long it took.
        cpu: Processor time that it used.
        error: The last line of its log, where it failed.
    """

    code: int
    seconds: float
    cpu: float
    error: str = ""


@dataclass
class Messages:
    """The messages of all runs of the tap.

    Attributes:
        loads: `WHOLE_ENCODING`, or "record", -> load -> messages.
        batch: Encoding -> messages of all rows.
        speed: `WHOLE_ENCODING`, or "record", -> messages of the larger table.
    """

    loads: dict[str, dict[str, Load]] = field(default_factory=dict)
    batch: dict[str, Load] = field(default_factory=dict)
    speed: dict[str, Load] = field(default_factory=dict)


def make_messages(runs: Runs) -> Messages:
    """Run the tap for everything that is loaded."""
    messages = Messages()
    for encoding in (None, WHOLE_ENCODING):
        messages.loads[encoding or "record"] = runs.loads(encoding)
        messages.speed[encoding or "record"] = runs.speed(encoding)
    for encoding in ENCODINGS:
        messages.batch[encoding] = runs.batch(encoding)
    return messages


class Check:
    """Loads into targets and compares.

    Args:
        runs: Runs of the tap.
        folder: For the files of targets.
        postgres: Folder with the socket of PostgreSQL.
        s3: URL of the emulator of S3.
    """

    def __init__(self, runs: Runs, folder: Path, postgres: Path, s3: str) -> None:
        self._runs = runs
        self._messages = make_messages(runs)
        self._folder = folder
        self._postgres = postgres
        self._s3 = s3
        self._places = 0

    def target(self, target: Target) -> dict[str, Any]:
        """Try everything with a target; return what was found."""
        ways = []
        for way in target.ways:
            print(f"{target.name}, {way.name}", flush=True)
            ways.append(self._way(target, way))
        found: dict[str, Any] = {"version": target.version, "ways": ways}
        if not ways[0]["error"]:
            found["batch"] = {encoding: self._batch(target, encoding) for encoding in ENCODINGS}
        if not (ways[-1]["error"] or target.emulator):
            found["meltano"] = self._meltano(target)
        return found

    def _way(self, target: Target, way: Way) -> dict[str, Any]:
        place = self._place()
        expected: dict[str, Table] = {}
        findings: dict[str, Finding] = {}
        for name in LOADS:
            load = self._messages.loads[way.encoding or "record"][name]
            ran = self._run(target, way, place, load)
            if ran.code:
                return {"name": way.name, "error": ran.error}
            expected = load.tables(expected)
            findings[name] = judge(expected, target.read(place).tables())
        seconds = self._run(
            target, way, self._place(), self._messages.speed[way.encoding or "record"]
        )
        return {
            "name": way.name,
            "error": "",
            "loads": {name: asdict(finding) for name, finding in findings.items()},
            "seconds": round(seconds.seconds, 1),
            "cpu": round(seconds.cpu, 1),
        }

    def _batch(self, target: Target, encoding: str) -> dict[str, Any]:
        """Offer BATCH files of an encoding; what they hold is known from the RECORD messages."""
        print(f"{target.name}, BATCH {encoding}", flush=True)
        place = self._place()
        ran = self._run(target, target.ways[0], place, self._messages.batch[encoding])
        expected = self._messages.loads["record"]["first"].tables()
        finding = judge(expected, {} if ran.code else target.read(place).tables(), VARYING)
        return {"error": ran.error, **asdict(finding)}

    def _meltano(self, target: Target) -> dict[str, Any]:
        """Load with `meltano run`, as the page recommends it."""
        print(f"{target.name}, meltano run", flush=True)
        place = self._place()
        self._runs.serve("first")
        error = meltano_run(target, place, self._runs.config)
        expected = self._messages.loads["record"]["first"].tables()
        finding = judge(expected, {} if error else target.read(place).tables(), VARYING)
        return {"error": error, **asdict(finding)}

    def _place(self) -> Place:
        self._places += 1
        place = Place(
            self._folder / f"place-{self._places}",
            f"place-{self._places}".replace("-", ""),
            self._postgres,
            self._s3,
        )
        place.folder.mkdir()
        requests.put(f"{self._s3}/{place.name}", timeout=START_SECONDS).raise_for_status()
        return place

    def _run(self, target: Target, way: Way, place: Place, load: Load) -> Ran:
        config = place.folder / "config.json"
        config.write_text(json.dumps({**target.config(place), **way.settings}), encoding="utf-8")
        log = place.folder / "log.txt"
        start = time.monotonic()
        with load.offer().open("rb") as messages, log.open("w") as errors:
            process = subprocess.Popen(
                [*target.command(place), "--config", str(config)],
                stdin=messages,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                cwd=place.folder,
                env=clean_environment(),
            )
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - start
        return Ran(
            process.returncode, seconds, used.ru_utime + used.ru_stime, last_error(log, process)
        )


def last_error(log: Path, process: subprocess.Popen[bytes]) -> str:
    """Return the line of the log that names the exception which ended a process."""
    if not process.returncode:
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    named = [line for line in lines if _EXCEPTION.fullmatch(line.partition(":")[0])]
    line = (named or lines or [f"exit code {process.returncode}"])[-1]
    # Without values and the names of temporary files, which differ from run to run.
    return re.sub(r"\s*(in message )?(\{|file:|/tmp/).*", "", line)[:200]


def clean_environment() -> dict[str, str]:
    """Return the environment without settings of targets and of Meltano."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TARGET_", "MELTANO_"))
    }


@contextlib.contextmanager
def emulated_s3(log: Path) -> Iterator[str]:
    """Run moto's server; yield its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = ENVIRONMENTS / "plinxore-target-s3" / "bin" / "moto_server"
    url = f"http://127.0.0.1:{port}"
    with log.open("w") as output:
        server = subprocess.Popen([program, "-p", str(port)], stdout=output, stderr=output)
    try:
        wait_for(url)
        yield url
    finally:
        server.terminate()
        server.wait()


def wait_for(url: str) -> None:
    """Wait until a server answers."""
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            requests.get(url, timeout=START_SECONDS)
        except requests.ConnectionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return


def check(names: list[str]) -> None:
    """Check the targets of these names; keep what was found of each."""
    with tempfile.TemporaryDirectory(prefix="targets") as name:
        folder = Path(name).resolve()
        (folder / "messages").mkdir()
        postgres = stores.start_postgres(folder / "pg")
        try:
            with emulated_s3(folder / "moto.log") as s3, Runs(folder / "messages") as runs:
                print("The tap's messages", flush=True)
                checking = Check(runs, folder, folder / "pg", s3)
                for target in TARGETS:
                    if target.name in names:
                        page.keep({target.name: checking.target(target)})
        finally:
            postgres.cleanup()


def main() -> int:
    """Check the targets that are named, or all, and write the page."""
    names = [target.name for target in TARGETS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(names)}")
    parser.add_argument("--page", action="store_true", help="write the page from what was found")
    options = parser.parse_args()
    if unknown := {*options.targets} - {*names}:
        parser.error(f"There is no target {', '.join(sorted(unknown))}.")
    if not options.page:
        check(options.targets or names)
    page.PAGE.write_text(page.written(page.found()), encoding="utf-8")
    print(f"Written: {page.PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
