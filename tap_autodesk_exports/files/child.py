"""Files that may take any amount of memory are read in a process of their own, under a limit.

A workbook of a few kilobytes can unpack to many gigabytes, or make the library that reads it ask
for them at once, which ends the process (observed: one cell at the far end of a sheet). JSON takes
many times its size in memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

from tap_autodesk_exports.files.combine import combine, is_copy
from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.files.headers import with_the_reports_header
from tap_autodesk_exports.json_reading import read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path
    from types import TracebackType

MEMORY = 400 << 20
"""Bytes that the process may take, where the platform has a limit for it."""


def json_to_csv(path: Path, folder: Path, *, expected: Collection[str] = ()) -> Path:
    """Write the objects in a JSON file as the rows of a CSV file, see `json_list`.

    Args:
        path: The JSON file.
        folder: Where to write the CSV file.
        expected: The columns to write where the list is empty.

    Raises:
        FileError: It is not the JSON that is expected, or takes too much memory.
    """
    target = folder / f"{path.name}.csv"
    with _Child(path) as child:
        child.ask(do="json", path=str(path), target=str(target), expected=[*expected])
    return target


def workbook_to_csv(  # noqa: PLR0913
    path: Path,
    folder: Path,
    *,
    expected: Collection[str] = (),
    rename: Callable[[str], str] = str,
    left_aside: Callable[[int], None] = lambda _: None,
    copies: Callable[[int], None] = lambda _: None,
) -> Path:
    """Write the sheets of a workbook that hold the report's rows as one CSV file.

    Sheet names are localised (documented) and a usage report begins with a sheet of filters
    (observed), so neither name nor position tells: the header is the row with the most expected
    names, and a sheet belongs to the report if its header is the report's.

    Args:
        path: The workbook.
        folder: Where to write CSV files.
        expected: Names of columns; without any, the sheet with the widest first row counts.
        rename: From a name in a sheet to a column name.
        left_aside: Called with the position, from 1, of each sheet with rows that does not belong
            to the report. Its name may be a person's.
        copies: Called with the position of each sheet that is the same as an earlier one, and left
            aside as well.

    Raises:
        FileError: The workbook cannot be read, takes too much memory, or no sheet holds any of the
            expected columns.
    """
    wanted = set(expected)
    target = folder / f"{path.name}.csv"
    with _Child(path) as child:
        names: list[str] = child.ask(do="open", path=str(path))["sheets"]
        headers = [_find_header(child, name, wanted, rename) for name in names]
        chosen = with_the_reports_header([found for _, found in headers])
        if not wanted and any(chosen):
            first = chosen.index(True)
            chosen = [at == first for at in range(len(chosen))]
        if not any(chosen):
            problem = (
                f"is a workbook in which none of {len(names)} sheets has the expected columns."
            )
            raise FileError(path, problem)
        parts: list[Path] = []
        for at, (name, (start, _)) in enumerate(zip(names, headers, strict=True)):
            if chosen[at]:
                part = folder / f"{path.name}.{at}.csv"
                child.ask(do="write", sheet=name, start=start, target=str(part))
                if any(is_copy(part, other) for other in parts):
                    copies(at + 1)
                else:
                    parts.append(part)
            elif start is not None:
                left_aside(at + 1)
    return combine(parts, target, rename)


def _find_header(
    child: _Child, name: str, wanted: set[str], rename: Callable[[str], str]
) -> tuple[int | None, set[str]]:
    """Return where the header of a sheet is, counted from 0, and which of its columns count.

    The position is None where the first rows of the sheet hold no text.
    """
    best: tuple[int | None, set[str]] = (None, set())
    for at, row in enumerate(child.ask(do="head", sheet=name)["rows"]):
        names = {rename(value) for value in row}
        found = names & wanted if wanted else names
        if best[0] is None and names:
            best = (at, found)
        if len(found) > len(best[1]) and wanted:
            best = (at, found)
    return best


class _Child:
    """The process, see `worker`, in which one file is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # One memory arena: each of several reserves 64 MB of the address space that is limited.
        environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-m", "tap_autodesk_exports.files.worker", str(MEMORY)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # What a library says when it crashes may hold cells.
            stderr=subprocess.DEVNULL,
            env=environment,
        )

    def ask(self, **request: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return what the process answers.

        Raises:
            FileError: The file is bad, or the process has died of it.
            OSError: The disk is full.
        """
        assert self._process.stdin  # noqa: S101
        assert self._process.stdout  # noqa: S101
        line = b""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._too_large()
        answer: dict[str, Any] = read_json(line)
        if "problem" in answer:
            raise FileError(self._path, answer["problem"])
        if "errno" in answer:
            raise OSError(answer["errno"], os.strerror(answer["errno"]))
        if "memory" in answer:
            raise self._too_large()
        return answer

    def _too_large(self) -> FileError:
        return FileError(
            self._path,
            f"takes more than {MEMORY >> 20} MB of memory to be read, or cannot be read at all. "
            "Nothing of it is loaded; request the report as CSV.",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        with self._process:
            pass  # closes the pipes, and waits
