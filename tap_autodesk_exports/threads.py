"""Starting a thread, or saying that there is none."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tap_autodesk_exports.errors import TapError

if TYPE_CHECKING:
    from collections.abc import Callable


class NoThread(TapError):
    """The system starts no further thread for this process."""

    def __init__(self) -> None:
        super().__init__(
            "The system starts no further thread for this process, because it is short of memory "
            "or of processes: raise its limits (`ulimit -u`, `ulimit -v`, or the container's), or "
            "lower 'max_concurrent_exports'. What is pending stays so: run again."
        )


def start(thread: threading.Thread) -> None:
    """Start a thread that does not keep the process alive.

    Raises:
        NoThread: The system starts none.
    """
    thread.daemon = True
    try:
        thread.start()
    except RuntimeError:
        raise NoThread from None


def run(target: Callable[..., object], *args: object, name: str) -> None:
    """Run a function in a new thread that does not keep the process alive.

    Raises:
        NoThread: The system starts none.
    """
    start(threading.Thread(target=target, args=args, name=name))
