"""A listing as a Singer stream: the full list each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.errors import TapError
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
        for record in self._listing.records(run.source(self._listing.api), self._hashing):
            if isinstance(record, TapError):
                is_whole = False
                self.fail(record)
            else:
                yield record
        if is_whole:
            self.activate_version()
