"""The root of every error that a person is meant to read."""

from __future__ import annotations


class TapError(Exception):
    """A failure told in complete sentences: what failed, where, and what to do.

    The text is shown as it is, in logs and as the last line of a run, so it holds no secret:
    no token, no key, no query string of a signed link.
    """


class ConfigurationError(TapError):
    """The settings are incomplete or contradict one another."""
