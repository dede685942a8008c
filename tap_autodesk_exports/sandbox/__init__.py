"""A local imitation of the three Autodesk APIs, true to their documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tap_autodesk_exports.sandbox.clock import SandboxClock
    from tap_autodesk_exports.sandbox.server import Sandbox

__all__ = ["Sandbox", "SandboxClock"]


def __getattr__(name: str) -> object:
    """Import the server on first use: it needs the `[sandbox]` extra, the rest does not."""
    if name == "Sandbox":
        from tap_autodesk_exports.sandbox.server import Sandbox  # noqa: PLC0415

        return Sandbox
    if name == "SandboxClock":
        from tap_autodesk_exports.sandbox.clock import SandboxClock  # noqa: PLC0415

        return SandboxClock
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
