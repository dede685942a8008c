"""What a failed sign-in is."""

from __future__ import annotations

from tap_autodesk_exports.errors import TapError

SIGN_IN_AGAIN = (
    "Sign in again with `autodesk-exports login` (`meltano invoke tap-autodesk-exports:login`), or "
    "set 'refresh_token' to a new one."
)


class SignInError(TapError):
    """No token could be had."""


class StoreError(SignInError):
    """The token store cannot be read, written or locked."""
