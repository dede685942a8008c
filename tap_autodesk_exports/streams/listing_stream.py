"""A listing as a Singer stream: the full list each time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tap_autodesk_exports.apis import TITLES, Api
from tap_autodesk_exports.errors import TapError
from tap_autodesk_exports.loading.personal import safe_record
from tap_autodesk_exports.streams.stream import TapStream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from singer_sdk import Tap
    from singer_sdk.helpers import types

    from tap_autodesk_exports.loading.listing import Listing
    from tap_autodesk_exports.session import Session
    from tap_autodesk_exports.streams.stream import Record


class ListingStream(TapStream):
    """What an API answers at once."""

    def __init__(self, tap: Tap, session: Session, listing: Listing) -> None:
        self._listing = listing
        super().__init__(tap, session, listing, listing.schema)

    @override
    def get_records(self, context: types.Context | None) -> Iterable[Record]:
        """Yield the entries; where some could not be read, rows that are gone are not removed."""
        run = self.session.begin()
        run.sign_in.check(Api(self._listing.api))
        self.begin_version()
        self._report.is_changed = True
        is_whole = True
        for entry in self._listing.read(run.source(self._listing.api)):
            if isinstance(entry, Mapping):
                yield self._record(entry)
            else:
                is_whole = False
                self.fail(self._error(entry))
        if is_whole:
            self.activate_version()

    def _record(self, entry: Mapping[str, Any]) -> Record:
        return safe_record(self._listing.record(entry), self._hashing)

    def _error(self, entry: object) -> TapError:
        if isinstance(entry, TapError):
            return entry
        return TapError(
            f"{TITLES[Api(self._listing.api)]} answered an entry that is not an object; a newer "
            "release of this tap may know the new form."
        )
