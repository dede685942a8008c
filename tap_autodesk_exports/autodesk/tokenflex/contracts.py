"""Which contracts to read, and what was used last in each: requested once in a run."""

from __future__ import annotations

import datetime as dt
import functools
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.autodesk.answers import Answers, read_each
from tap_autodesk_exports.autodesk.tokenflex.client import Contract, LastUsage
from tap_autodesk_exports.errors import ConfigurationError

if TYPE_CHECKING:
    from tap_autodesk_exports.autodesk.tokenflex.client import TokenFlex
    from tap_autodesk_exports.settings import Settings


class Contracts:
    """The contracts of the user.

    Args:
        client: The endpoints.
        settings: The settings.
    """

    def __init__(self, client: TokenFlex, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._last: dict[str, list[Any]] = {}

    @functools.cached_property
    def entries(self) -> list[Any]:
        """The contracts, present and past, as the API answers them."""
        return self._client.contracts()

    @functools.cached_property
    def numbers(self) -> Answers[str]:
        """The contracts to read: those of the settings, else all active ones.

        One that ended within the look-back counts as active, because usage of its last days
        arrives after its end.

        Raises:
            ConfigurationError: There is none.
        """
        if chosen := self._settings.tokenflex_contract_numbers:
            return Answers(tuple(chosen))
        lookback = dt.timedelta(days=self._settings.lookback_days)
        since = (self._client.clock.now() - lookback).date().isoformat()
        contracts = read_each(self.entries, Contract.read)
        found = tuple(
            contract.number
            for contract in contracts.items
            if contract.is_active or (contract.end_date or "") >= since
        )
        if not found and not contracts.unreadable:
            msg = (
                f"Token Flex: this user sees {len(contracts.items)} contracts, none of them "
                "active. Sign in as a contract manager, name past contracts in "
                "'tokenflex_contract_numbers', or leave 'tokenflex' out of 'apis'."
            )
            raise ConfigurationError(msg)
        return Answers(found, contracts.unreadable)

    def last_entries(self, number: str) -> list[Any]:
        """Return what was used and processed last in a contract, as the API answers it."""
        if number not in self._last:
            self._last[number] = self._client.last(number)
        return self._last[number]

    def last(self, number: str) -> tuple[LastUsage, ...]:
        """Return what was used and processed last in a contract, as far as it can be read."""
        return read_each(self.last_entries(number), LastUsage.read).items
