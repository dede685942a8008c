"""What the APIs of the sandbox share: time, data, storage, record, and the check of tokens."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.sandbox.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    import flask

    from tap_autodesk_exports.sandbox.authentication import Authentication
    from tap_autodesk_exports.sandbox.clock import SandboxClock
    from tap_autodesk_exports.sandbox.data.names import Names
    from tap_autodesk_exports.sandbox.data.world import World
    from tap_autodesk_exports.sandbox.faults import Faults
    from tap_autodesk_exports.sandbox.record import Record
    from tap_autodesk_exports.sandbox.storage import Storage


@dataclasses.dataclass(frozen=True)
class Services:
    """The shared parts of one sandbox."""

    clock: SandboxClock
    world: World
    names: Names
    storage: Storage
    record: Record
    authentication: Authentication
    faults: Faults
    job_seconds: float | Callable[[], float]

    def guarded(
        self, view: Callable[..., flask.Response], scope: str, *, two_legged: bool = False
    ) -> Callable[..., flask.Response]:
        """Return `view`, which then requires a token with `scope`."""

        @functools.wraps(view)
        def checked(**arguments: Any) -> flask.Response:  # noqa: ANN401
            refusal = self.authentication.refusal(scope, two_legged=two_legged)
            return view(**arguments) if refusal is None else refusal

        return checked

    def timeline(self, api: str) -> Timeline:
        """Return the timeline of an export that starts now, with what faults do to it."""
        given = self.job_seconds
        seconds = given() if callable(given) else given
        return Timeline(self.clock.now(), seconds, *self.faults.starting(api))
