"""The daily quotas of jobs: of an account, and of a user in all accounts (documented: 24 each)."""

from __future__ import annotations

import bisect
import collections
import datetime as dt

DAY = dt.timedelta(days=1)


class Jobs:
    """When jobs were created, by whatever has a quota: an account, a user."""

    def __init__(self) -> None:
        self._created: dict[str, list[dt.datetime]] = collections.defaultdict(list)

    def add(self, created: dt.datetime, *owners: str) -> None:
        """Note a job that counts for some owners."""
        for owner in owners:
            bisect.insort(self._created[owner], created)

    def have_room(self, now: dt.datetime, quotas: dict[str, int]) -> bool:
        """Tell whether one more job passes no quota of rolling 24 hours.

        Args:
            now: The present instant.
            quotas: Owner -> how many jobs it may have.
        """
        return all(self.in_a_day(owner, now) < quota for owner, quota in quotas.items())

    def in_a_day(self, owner: str, now: dt.datetime) -> int:
        """Return how many jobs of an owner were created in the 24 hours before an instant."""
        created = self._created[owner]
        return len(created) - bisect.bisect_right(created, now - DAY)
