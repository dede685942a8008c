"""Which contracts to read, and what was used last in each: requested once in a run."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import logging
import re
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.autodesk.answers import read_each
from tap_autodesk_exports.autodesk.chosen import Chosen, named
from tap_autodesk_exports.autodesk.http import ApiError
from tap_autodesk_exports.autodesk.tokenflex.client import Contract, LastUsage
from tap_autodesk_exports.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_autodesk_exports.autodesk.tokenflex.client import TokenFlex
    from tap_autodesk_exports.settings import Settings

logger = logging.getLogger("tap-autodesk-exports")

CATEGORIES = (
    "DESKTOP_PRODUCT",
    "CLOUD_PRODUCT",
    "CLOUD_SERVICE",
    "MANUAL_ADJUSTMENT",
    "MANUAL_CONSUMPTION",
)
"""The usage categories (documented)."""
LEGACY = ("PRODUCT_CONSUMPTION", "CLOUD_CONSUMPTION", "CLOUD_PRODUCT_CONSUMPTION")
"""Their older names, which the summary has (documented)."""


DAY, YEAR = dt.timedelta(days=1), dt.timedelta(days=365)


def _letters(name: str) -> str:
    return re.sub(r"[^A-Z]", "", name.upper())


_KNOWN = frozenset(_letters(name) for name in (*CATEGORIES, *LEGACY))


def is_other_spelling(category: str) -> bool:
    """Tell whether a name is an older one, or another spelling, of a documented category."""
    return category not in CATEGORIES and _letters(category) in _KNOWN


@dataclasses.dataclass(frozen=True)
class LastUsages:
    """What was used and processed last in a contract.

    Attributes:
        entries: One for each usage and charge category.
        is_whole: Whether all of the list could be read.
    """

    entries: tuple[LastUsage, ...]
    is_whole: bool


class Contracts:
    """The contracts of the user.

    Args:
        client: The endpoints.
        settings: The settings.
        now: Returns the present instant.
    """

    def __init__(
        self, client: TokenFlex, settings: Settings, now: Callable[[], dt.datetime]
    ) -> None:
        self._client = client
        self._settings = settings
        self._now = now
        self._last: dict[str, list[Any]] = {}
        self._usages: dict[str, LastUsages] = {}
        self._named: set[str] = set()

    @functools.cached_property
    def entries(self) -> list[Any]:
        """The contracts, present and past, as the API answers them."""
        return self._client.contracts()

    @functools.cached_property
    def numbers(self) -> Chosen:
        """The contracts to read: those of the settings, else all active ones.

        One that ended within the look-back counts as active, because usage of its last days
        arrives after its end.

        Raises:
            ConfigurationError: There is none.
        """
        if chosen := self._settings.tokenflex_contract_numbers:
            return named(chosen, self.entries, "contractNumber", _none_of_the_users)
        lookback = dt.timedelta(days=self._settings.lookback_days)
        contracts = read_each(self.entries, Contract.read)  # which says the server's time as well
        since = (self._now() - lookback).date()
        found = tuple(
            contract.number
            for contract in contracts.items
            if contract.is_active or (contract.end_date or dt.date.min) >= since
        )
        if not found and not contracts.unreadable:
            msg = (
                f"Token Flex: this user sees {len(contracts.items)} contracts, none of them "
                "active. Sign in as a contract manager, name past contracts in "
                "'tokenflex_contract_numbers', or leave 'tokenflex' out of 'apis'."
            )
            raise ConfigurationError(msg)
        return Chosen(found, contracts.unreadable)

    def ended(self) -> dict[str, dt.datetime]:
        """Return the contracts that are not read any more, each with the end of its last day.

        Of the last year only, and none where the settings name those to read.
        """
        if self._settings.tokenflex_contract_numbers:
            return {}
        last = (self._now() - YEAR).date()
        return {
            contract.number: dt.datetime.combine(contract.end_date + DAY, dt.time(), dt.UTC)
            for contract in read_each(self.entries, Contract.read).items
            if contract.number not in self.numbers.items
            and contract.end_date
            and contract.end_date > last
        }

    def last_entries(self, number: str) -> list[Any]:
        """Return what was used and processed last in a contract, as the API answers it."""
        if number not in self._last:
            self._last[number] = self._client.last(number)
        return self._last[number]

    def last(self, number: str) -> LastUsages:
        """Return what was used and processed last in a contract, as far as it can be read."""
        if number not in self._usages:
            self._usages[number] = self._read_last(number)
        return self._usages[number]

    def _read_last(self, number: str) -> LastUsages:
        try:
            entries = read_each(self.last_entries(number), LastUsage.read)
        except ApiError as error:
            logger.warning(
                "%s Every documented usage category of contract %s is requested.", error, number
            )
            return LastUsages((), is_whole=False)
        return LastUsages(entries.items, is_whole=not entries.unreadable)

    def unknown_categories(self, number: str) -> tuple[str, ...]:
        """Return the usage categories of a contract that this release does not know.

        Another spelling of a known one is none of them.
        """
        listed = dict.fromkeys(entry.category for entry in self.last(number).entries)
        unknown = tuple(name for name in listed if _letters(name) not in _KNOWN)
        for name in unknown:
            if name not in self._named:
                self._named.add(name)
                logger.warning(
                    "Token Flex lists the usage category '%s', which this release of the tap does "
                    "not know: it is loaded with 'tokenflex_usage'.",
                    name,
                )
        return unknown


def _none_of_the_users(number: str, seen: str) -> str:
    return (
        f"Token Flex: contract {number} of 'tokenflex_contract_numbers' is none of this "
        f"user's, which are: {seen}. Correct it, or sign in as a manager of that contract."
    )
