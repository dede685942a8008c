"""The root of every error that a person is meant to read."""

from __future__ import annotations


class TapError(Exception):
    """A failure in complete sentences: what failed, where, and what to do.

    The text is shown as it is, in logs and as the last line of a run, so it holds no secret:
    no token, no key, no query string of a signed link.

    Attributes:
        executed: Whether the server may have carried out what failed all the same.
    """

    executed = False


class ConfigurationError(TapError):
    """The settings are incomplete or contradict one another."""


class Stopped(TapError):
    """The run is being ended; what was waited for stays pending."""

    def __init__(self) -> None:
        super().__init__("The run was stopped; what is pending is resumed by the next run.")


class NoSpace(TapError):
    """The disk has no room for a temporary file."""
