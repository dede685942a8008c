# ruff: noqa: INP001 - a script
"""Write docs/assets/terminal.svg: what an export shows on a terminal, from a real run."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tap_autodesk_exports.sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs/assets/terminal.svg"
STREAMS = ("insights_*", "tokenflex_usage", "issues_*")
COMMAND = f"autodesk-exports export {shlex.join(STREAMS)} --to seats.duckdb"
ERASED = re.compile(r"(?:\r?\x1b\[2K(?:\x1b\[1A\x1b\[2K)*|\x1b\[\?25[lh])+")
"""What stands between two frames of the display."""
SUMMARY = re.compile(r"\d+ loaded, \d+ unchanged, [^.]*? rows\.")
WIDTH = 110


def main() -> None:
    """Run an export on a pseudo-terminal, and draw its fullest frame and its last line."""
    sandbox = Sandbox(seed=3, scale=1.0, job_seconds=6)
    with sandbox, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = {
            **sandbox.settings(),
            "start_date": "2026-09-01",
            "insights_export_scope": "all_teams",
        }
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        shown = run(folder)
    frames = [frame for frame in ERASED.split(shown) if "Exports: " in frame]
    fullest = max((frame[frame.index("Exports: ") :] for frame in frames), key=fullness)
    summary = SUMMARY.findall(shown)[-1]
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere)
        console.print(f"$ {COMMAND}", highlight=False)
        console.print(Text.from_ansi(fullest.rstrip()))
        console.print("…", " ".join(summary.split()), sep="\n", highlight=False)
    drawn = console.export_svg(title="autodesk-exports")
    # No font from elsewhere: the picture asks for nothing.
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
    PICTURE.write_text(drawn, encoding="utf-8")


def fullness(frame: str) -> tuple[int, bool]:
    """Tell how much of the display a frame shows: running exports first, then rows."""
    return frame.count("\n"), "; 0 rows" not in frame


def run(folder: Path) -> str:
    """Return all that the command writes to its terminal."""
    mine, its = pty.openpty()
    command = [
        os.fspath(Path(sys.executable).with_name("autodesk-exports")),
        *("export", *STREAMS, "--to", "seats.duckdb", "--config", "config.json"),
    ]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": f"{WIDTH}", "LINES": "40"}
    with subprocess.Popen(  # noqa: S603 - its own program
        command, cwd=folder, env=environment, stdout=its, stderr=its
    ):
        os.close(its)
        shown = b""
        with contextlib.suppress(OSError):  # the other side is closed
            while chunk := os.read(mine, 65536):
                shown += chunk
    os.close(mine)
    return shown.decode().replace("\r\n", "\n")


if __name__ == "__main__":
    main()
