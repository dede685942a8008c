"""Faults that can be switched on."""

from __future__ import annotations

from tap_autodesk_exports.sandbox.course import Ending


class Faults:
    """The faults of one sandbox."""

    def ending(self, api: str) -> Ending:  # noqa: ARG002
        """Return how the next export of an API ends."""
        return Ending.SUCCESS
