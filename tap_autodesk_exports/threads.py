"""Starting a thread, or saying that there is none."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tap_autodesk_exports.errors import TapError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class NoThread(TapError):
    """The system starts no further thread for this process."""

    def __init__(self) -> None:
        super().__init__(
            "The system starts no further thread for this process, because it is short of memory "
            "or of processes: raise its limits (`ulimit -u`, `ulimit -v`, or the container's), or "
            "lower 'max_concurrent_exports'. What is pending stays so: run again."
        )


@contextmanager
def naming_a_lack_of_threads() -> Iterator[None]:
    """Report that a library could not start a thread.

    Raises:
        NoThread: It could not.
    """
    try:
        yield
    except RuntimeError as error:
        if "start new thread" not in str(error):
            raise
        raise NoThread from None


def start(thread: threading.Thread) -> None:
    """Start a thread that does not keep the process alive.

    Raises:
        NoThread: The system starts none.
    """
    thread.daemon = True
    with naming_a_lack_of_threads():
        thread.start()


def run(target: Callable[..., object], *args: object, name: str) -> None:
    """Run a function in a new thread that does not keep the process alive.

    Raises:
        NoThread: The system starts none.
    """
    start(threading.Thread(target=target, args=args, name=name))
