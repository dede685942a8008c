"""How long the tap takes to begin: each a process of its own, the interpreter included."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

TAP = str(Path(sys.executable).with_name("tap-autodesk-exports"))
STREAM = "issues_issues"


def starts(repeat: int) -> None:
    """Print how long discovery takes, and a sync of one stream until it says something."""
    print("\nStart, with the catalog of all streams (median)\n")
    print("| command | seconds |")
    print("|---|---|")
    _row("--about --format=json", lambda: _seconds(["--about", "--format=json"]), repeat)
    _row("--discover", lambda: _seconds(["--discover"]), repeat)
    with tempfile.TemporaryDirectory() as folder, Sandbox(job_seconds=0) as sandbox:
        arguments = _arguments(Path(folder), sandbox.settings())
        _row("sync of one stream: first message", lambda: _until("", arguments), repeat)
        _row("… first row, export and download included", lambda: _until("REC", arguments), repeat)


def _row(name: str, measure: Callable[[], float], repeat: int) -> None:
    print(f"| {name} | {median(measure() for _ in range(repeat)):.2f} |", flush=True)


def _seconds(arguments: list[str]) -> float:
    start = time.monotonic()
    subprocess.run([TAP, *arguments], check=True, capture_output=True)
    return time.monotonic() - start


def _until(kind: str, arguments: list[str]) -> float:
    """Return the seconds from the start of a process to its first message of a kind."""
    start, found = time.monotonic(), 0.0
    with subprocess.Popen(
        [TAP, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        for line in process.stdout or ():
            if not found and f'"type":"{kind}'.encode() in line:
                found = time.monotonic() - start
    return found


def _arguments(folder: Path, settings: dict[str, Any]) -> list[str]:
    catalog = json.loads(subprocess.check_output([TAP, "--discover"], stderr=subprocess.DEVNULL))
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = stream["tap_stream_id"] == STREAM
    (folder / "catalog.json").write_text(json.dumps(catalog), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    return [f"--config={folder}/config.json", f"--catalog={folder}/catalog.json"]
