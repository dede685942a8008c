"""Set the ways side by side and print what each costs, as Markdown.

Four parts: every way at a million rows; this tap's lines from 10 000 to 10 000 000 rows; how long
the tap takes to begin; `meltano run`s into PostgreSQL, side by side. Each way is a process of its
own; its processor time and peak memory are what the system counted for it. Absolute figures depend
on the machine, ratios hardly do.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import data
from pipeline import pipeline
from starts import starts
from ways import WAYS

PROGRAM = Path(__file__).with_name("ways.py")
PARTS = ("ways", "growth", "starts", "pipeline")
GROWTH = (10_000, 100_000, 1_000_000, 10_000_000)
SLOW = ("sdk-default", "sdk-best")
"""Ways that take every other turn only; they are what the others are compared with."""


@dataclass(frozen=True)
class Cost:
    """What one run of a way took."""

    seconds: float
    cpu: float
    peak: float
    """Most memory in use at a time, in MB."""


def measure(way: str, shape: str, rows: int) -> Cost:
    """Run a way once as a process of its own."""
    with tempfile.TemporaryDirectory(dir=data.FOLDER) as folder:
        command = [sys.executable, str(PROGRAM), way, shape, str(rows), folder]
        start = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - start
    if process.returncode:
        sys.exit(f"{way} ended with {process.returncode}")
    return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def typical(costs: list[Cost]) -> Cost:
    """Return the median of each figure, and the greatest peak."""
    return Cost(
        median(cost.seconds for cost in costs),
        median(cost.cpu for cost in costs),
        max(cost.peak for cost in costs),
    )


def compare(ways: list[str], shape: str, rows: int, repeat: int) -> None:
    """Print a table of the ways.

    They take turns, and a ratio is the median of those within a turn: a machine that is slower for
    some minutes is so for both.
    """
    path, layout = data.file_of(shape, rows)
    size = path.stat().st_size / 1e6
    print(f"\n{shape}: {rows:,} rows x {len(layout.columns)} columns, {size:,.0f} MB of CSV\n")
    print("| way | seconds | CPU seconds | peak memory | x sdk-default | x sdk-best | x duckdb |")
    print("|---|---|---|---|---|---|---|", flush=True)
    turns = [
        {way: measure(way, shape, rows) for way in ways if way not in SLOW or turn % 2 == 0}
        for turn in range(repeat)
    ]
    for way in ways:
        cost = typical([turn[way] for turn in turns if way in turn])
        alone = "duckdb-parquet" if way.endswith("parquet") else "duckdb-lines"
        ratios = [
            *(format_ratio(turns, sdk, way, "{:.1f} faster") for sdk in SLOW),
            format_ratio(turns, way, alone, "{:.2f}"),
        ]
        print(
            f"| {way} | {cost.seconds:.2f} | {cost.cpu:.2f} | {cost.peak:.0f} MB"
            f" | {' | '.join(ratios)} |"
        )


def format_ratio(turns: list[dict[str, Cost]], way: str, other: str, form: str) -> str:
    """Write how many times as long as another way a way took; nothing where one did not run."""
    ratios = [turn[way].seconds / turn[other].seconds for turn in turns if {way, other} <= {*turn}]
    return form.format(median(ratios)) if ratios else ""


def growth(shape: str, repeat: int) -> None:
    """Print what a row costs in files of all sizes."""
    print(f"\ntap-lines, {shape}, by number of rows\n")
    print("| rows | seconds | CPU microseconds a row | peak memory |")
    print("|---|---|---|---|")
    for rows in GROWTH:
        data.file_of(shape, rows)
        cost = typical([measure("tap-lines", shape, rows) for _ in range(repeat)])
        per_row = cost.cpu / rows * 1e6
        print(f"| {rows:,} | {cost.seconds:.2f} | {per_row:.1f} | {cost.peak:.0f} MB |", flush=True)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--ways", nargs="*", default=list(WAYS))
    parser.add_argument("--repeat", type=int, default=3, help="turns of a way")
    options = parser.parse_args()
    for part in options.parts or PARTS:
        match part:
            case "ways":
                compare(options.ways, "narrow", options.rows, options.repeat)
                compare(options.ways, "wide", options.rows // 5, options.repeat)
            case "growth":
                growth("narrow", -(-options.repeat // 2))
            case "starts":
                starts(options.repeat + 2)
            case "pipeline":
                pipeline(options.rows // 2, -(-options.repeat // 2))
            case _:
                parser.error(f"There is no part '{part}'.")


if __name__ == "__main__":
    main()
