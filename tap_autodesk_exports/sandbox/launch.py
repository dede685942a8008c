"""The sandbox as the setting `sandbox` starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_autodesk_exports.errors import ConfigurationError

if TYPE_CHECKING:
    from tap_autodesk_exports.sandbox.server import Sandbox


def launch() -> Sandbox:
    """Start a sandbox on loopback.

    Raises:
        ConfigurationError: A package that it needs is missing.
    """
    try:
        from tap_autodesk_exports.sandbox.server import Sandbox  # noqa: PLC0415
    except ModuleNotFoundError as error:
        msg = (
            f"Setting 'sandbox' needs the package '{error.name}': install "
            "'tap-autodesk-exports[sandbox]'."
        )
        raise ConfigurationError(msg) from None
    sandbox = Sandbox()
    sandbox.start()
    return sandbox
