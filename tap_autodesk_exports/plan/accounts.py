"""Many accounts, each with its client ID, service account and hour.

Documented: a service account, like every user, may have 24 jobs in 24 hours; a client ID may have
ten service accounts and send 60 requests a minute. So a service account gets one job an hour. Two
hours of its day stay free: one for a job that failed, and one because jobs that start late are not
a day old when the next ones start. Service accounts of a client begin six minutes apart, so that
their requests do not come all at once.
"""

from __future__ import annotations

import csv
import dataclasses
import itertools
from typing import TYPE_CHECKING, TextIO

from tap_autodesk_exports.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SERVICE_ACCOUNTS = 10
"""Of a client ID (documented)."""
HOURS = 22
"""Hours of a day in which accounts are loaded."""
MINUTES = 60 // SERVICE_ACCOUNTS


@dataclasses.dataclass(frozen=True, order=True)
class Slot:
    """When an account is loaded, and by whom.

    Attributes:
        client: Number of the client ID, from 1.
        hour: Hour of the day, UTC.
        service_account: Number of the client's service account, 1 to 10.
        day: Day of the cycle, from 1.
    """

    client: int
    hour: int
    service_account: int
    day: int

    @property
    def minute(self) -> int:
        """Minute of the hour."""
        return (self.service_account - 1) * MINUTES


FIELDS = ("account_id", *(field.name for field in dataclasses.fields(Slot)), "minute")


def schedule(accounts: Iterable[tuple[str, Slot | None]], days: int) -> dict[str, Slot]:
    """Give each account a slot; one that has a slot keeps it.

    A service account must be a member of each of its accounts, so an account that moved to another
    one would have to be set up again.

    Args:
        accounts: Account IDs, each with the slot that it has.
        days: In how many days each account is loaded once.

    Raises:
        ConfigurationError: Two accounts have the same slot, or one has two.
    """
    given: dict[str, Slot | None] = {}
    taken: dict[Slot, str] = {}
    for account, slot in accounts:
        if account in given:
            msg = f"The accounts file names account {account} twice: name it once."
            raise ConfigurationError(msg)
        given[account] = slot
        if slot:
            if other := taken.get(slot):
                msg = (
                    f"The accounts file gives {other} and {account} the same slot: leave the "
                    "columns of one of them empty."
                )
                raise ConfigurationError(msg)
            taken[slot] = account
    free = (slot for slot in _slots(days) if slot not in taken)
    return {account: slot or next(free) for account, slot in given.items()}


def _slots(days: int) -> Iterator[Slot]:
    """Yield all slots: those of a client before those of the next."""
    for client in itertools.count(1):
        for hour in range(HOURS):
            for service_account in range(1, SERVICE_ACCOUNTS + 1):
                for day in range(1, days + 1):
                    yield Slot(client, hour, service_account, day)


def read(file: TextIO, days: int) -> Iterator[tuple[str, Slot | None]]:
    """Yield the accounts of a file, and the slots that they have.

    Args:
        file: Account IDs, one a line, or a schedule that was printed before.
        days: In how many days each account is loaded once.

    Raises:
        ConfigurationError: A line is neither.
    """
    for number, row in enumerate(csv.reader(file), 1):
        account, *cells = (cell.strip() for cell in row) if row else ("",)
        if not account or account.startswith("#") or account == FIELDS[0]:
            continue
        yield account.removeprefix("b."), _slot(cells, number, days) if any(cells) else None


def _slot(cells: list[str], number: int, days: int) -> Slot:
    try:
        slot = Slot(*(int(cell) for cell in cells[:4]))
    except (TypeError, ValueError):
        slot = None
    is_one = slot is not None and (
        slot.client >= 1
        and 0 <= slot.hour < HOURS
        and 1 <= slot.service_account <= SERVICE_ACCOUNTS
        and 1 <= slot.day <= days
    )
    if slot is None or not is_one:
        msg = (
            f"Line {number} of the accounts file has no slot of a schedule of {days} days: write "
            f"the account ID alone, or {','.join(FIELDS)} as `autodesk-exports plan` prints them."
        )
        raise ConfigurationError(msg)
    return slot


def write(found: dict[str, Slot], file: TextIO) -> None:
    """Write a schedule as CSV."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(FIELDS)
    for account, slot in found.items():
        writer.writerow((account, *dataclasses.astuple(slot), slot.minute))
