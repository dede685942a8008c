"""A local imitation of the three Autodesk APIs, true to their documentation.

What is documented or observed is the default. Whatever else the real servers may do is off, and is
switched on in one of two ways:

- **A fault** makes single requests or exports go wrong: `sandbox.faults.add(effect, api=…, …)`,
  `POST /sandbox/faults`. Effects and fields are documented in `fault.py`.
- **A switch** changes what a part is like until it is switched back: an attribute of
  `sandbox.insights`, `.tokenflex`, `.data_connector`, `.storage` or `.names`,
  `sandbox.switch({part: {name: value}})`, `POST /sandbox/behaviour`. They are documented in
  `InsightsBehaviour`, `TokenFlexBehaviour`, `DataConnectorBehaviour`, `StorageBehaviour`, `Names`.

`autodesk-exports sandbox --faults FILE` reads both from a file. Time is `sandbox.clock`
(`POST /sandbox/clock`): it dates all data and every answer, so moving it makes the server's clock
differ from the machine's. Extracts that were made in the product are added by
`sandbox.data_connector.add_extract` (`POST /sandbox/extracts`). Redirects lead to
`sandbox.stranger`, which records what reaches it (`GET /sandbox/stranger`).

The admin endpoints below `/sandbox` need `sandbox.token`.
"""

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
