"""What a failed sign-in is."""

from __future__ import annotations

from tap_autodesk_exports.errors import TapError

SIGN_IN_AGAIN = (
    "Sign in again with `autodesk-exports login` (`meltano invoke tap-autodesk-exports:login`), or "
    "set 'refresh_token' to a new one."
)


class SignInError(TapError):
    """No token could be obtained.

    Attributes:
        is_unreachable: Whether the host did not answer, so that it is of no use to ask it more.
    """

    def __init__(self, message: str, *, is_unreachable: bool = False) -> None:
        super().__init__(message)
        self.is_unreachable = is_unreachable


class DamagedAnswer(SignInError):
    """The token endpoint answered without an access token, but with the next refresh token.

    Attributes:
        refresh_token: It is the only one that is good from now on.
    """

    def __init__(self, message: str, refresh_token: str) -> None:
        super().__init__(message)
        self.refresh_token = refresh_token


class StoreError(SignInError):
    """The token store cannot be read, written or locked."""
