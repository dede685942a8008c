"""How a bearer token is had, kept and renewed."""

from tap_autodesk_exports.signin.errors import SignInError
from tap_autodesk_exports.signin.signin import SignIn

__all__ = ["SignIn", "SignInError"]
