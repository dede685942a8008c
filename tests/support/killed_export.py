"""An export in a process of its own that kills itself at a moment: SIGKILL, as a machine would."""

from __future__ import annotations

import functools
import importlib
import logging
import multiprocessing
import os
import signal
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.clock import Clock
from tap_autodesk_exports.destinations import process

if TYPE_CHECKING:
    from collections.abc import Callable

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__, "duckdb", "adbc_driver_postgresql.dbapi"])


def killed(order: process.Order, where: str, when: str, times: int = 1) -> int:
    """Export, and return the exit code: -9 if the moment came.

    Args:
        order: The export.
        where: A function or method, such as `package.module:Class.method`.
        when: Whether `before` or `after` its call.
        times: Which call.
    """
    child = CONTEXT.Process(target=_run, args=(order, where, when, times))
    child.start()
    child.join(120)
    assert child.exitcode is not None, "It has not ended."
    return child.exitcode


def _run(order: process.Order, where: str, when: str, times: int) -> None:
    module, _, path = where.partition(":")
    *parents, name = path.split(".")
    holder: Any = functools.reduce(getattr, parents, importlib.import_module(module))
    setattr(holder, name, _deadly(getattr(holder, name), when, times))
    logging.basicConfig(level=logging.CRITICAL)
    os._exit(process.export(order, Clock(), is_program=False))


def _deadly(real: Callable[..., Any], when: str, times: int) -> Callable[..., Any]:
    left = times

    @functools.wraps(real)
    def call(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*arguments, **named)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call
