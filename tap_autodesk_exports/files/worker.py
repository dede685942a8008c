"""The process that reads a workbook or JSON file under a memory limit, see `child`.

It answers each line of its standard input, a JSON object that says what to do, with one line on its
standard output.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import signal
import sys
from pathlib import Path
from typing import Any

from tap_autodesk_exports.files.errors import FileError
from tap_autodesk_exports.files.json_list import list_to_csv
from tap_autodesk_exports.files.workbook import Workbook
from tap_autodesk_exports.json_reading import read_json

_DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG, Linux only."""


class _Worker:
    def __init__(self) -> None:
        self._book: Workbook | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked for; whatever goes wrong with the file is an answer as well."""
        try:
            return self._done(**request)
        except FileError as error:
            return {"problem": error.problem}
        except MemoryError:
            return {"memory": True}
        except OSError as error:
            return {"errno": error.errno}

    def _done(self, do: str, **request: Any) -> dict[str, Any]:  # noqa: ANN401
        match do:
            case "json":
                path, target = Path(request["path"]), Path(request["target"])
                list_to_csv(path, target, expected=request["expected"])
            case "open":
                self._book = Workbook(Path(request["path"]))
                return {"sheets": self._book.names}
            case "head" if self._book:
                return {"rows": self._book.head(request["sheet"])}
            case "write" if self._book:
                self._book.write(request["sheet"], request["start"], Path(request["target"]))
        return {}


def _limit_memory(most: int) -> None:
    """Let requests for memory fail above a limit, where the platform has one."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 - not on Windows

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def main() -> None:
    """Answer until the standard input ends."""
    # Ctrl-C goes to all processes of a terminal; the parent decides what happens then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
    _limit_memory(int(sys.argv[1]))
    worker = _Worker()
    for line in sys.stdin.buffer:
        sys.stdout.write(json.dumps(worker.answer(read_json(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
