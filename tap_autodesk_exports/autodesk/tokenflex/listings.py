"""What Token Flex answers at once: contracts, their years and labels, summaries, requests."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.answers import Answer
from tap_autodesk_exports.autodesk.personal import is_personal
from tap_autodesk_exports.autodesk.tokenflex.client import TITLE
from tap_autodesk_exports.errors import ConfigurationError, TapError
from tap_autodesk_exports.loading.listing import (
    BOOLEAN,
    DATE,
    NUMBER,
    STRING,
    TIMESTAMP,
    Listing,
    list_schema,
)

if TYPE_CHECKING:
    from tap_autodesk_exports.autodesk.tokenflex.source import TokenFlexSource

    OfContract = Callable[[TokenFlexSource, str], Iterable[Any]]
    """Yields the entries of one contract."""


def _contracts(source: TokenFlexSource) -> Iterable[Any]:
    entries = source.contracts.entries
    if not entries:
        # Documented: this is how the API answers a user without a role, and it is no error there.
        yield ConfigurationError(
            "Token Flex: this user sees no contract. Sign in as a contract manager, software "
            "coordinator or team admin, or leave 'tokenflex' out of 'apis'."
        )
    yield from entries


def _by_contract(of_contract: OfContract, source: TokenFlexSource) -> Iterable[Any]:
    """Yield a list that is requested contract by contract; one that fails, fails alone."""
    numbers = source.contracts.numbers
    yield from numbers.errors
    for number in numbers.items:
        try:
            for entry in of_contract(source, number):
                # The number is added where the answer does not hold it.
                yield {"contractNumber": number, **entry} if isinstance(entry, Mapping) else entry
        except TapError as error:
            yield error


def _years(source: TokenFlexSource, number: str) -> Iterable[Any]:
    contract = source.client.contract(number)
    provisioned = contract.values.get("multiyearProvisionedTokens")
    for entry in contract.entries("contractYears"):
        year = Answer.of(TITLE, "contract year", entry).values
        yield {**year, "multiyearProvisionedTokens": provisioned}


def _enrichments(source: TokenFlexSource, number: str) -> Iterable[Any]:
    for position, label in enumerate(source.client.enrichment(number), start=1):
        yield {"field": f"customField{position}", "position": position, "label": label}


def _summary(source: TokenFlexSource, number: str) -> Iterable[Any]:
    return source.client.summary(number)


def _last(source: TokenFlexSource, number: str) -> Iterable[Any]:
    return source.contracts.last_entries(number)


def _requests(source: TokenFlexSource, number: str) -> Iterable[Any]:
    start, end = source.settings.period(source.now())
    return source.client.requests(number, start.date(), end.date() + dt.timedelta(days=1))


LISTINGS = (
    Listing(
        name="tokenflex_contracts",
        api=Api.TOKENFLEX,
        primary_keys=("contractNumber",),
        schema=list_schema(
            contractNumber=STRING,
            contractName=STRING,
            contractStartDate=DATE,
            contractEndDate=DATE,
            isActive=BOOLEAN,
        ),
        is_personal=is_personal,
        read=_contracts,
    ),
    Listing(
        # A snapshot, not the sum of the usage.
        name="tokenflex_contract_years",
        api=Api.TOKENFLEX,
        primary_keys=("contractNumber", "year"),
        schema=list_schema(
            contractNumber=STRING,
            year=NUMBER,
            startDate=DATE,
            endDate=DATE,
            provisionedTokens=NUMBER,
            consumedTokens=NUMBER,
            remainingTokens=NUMBER,
            multiyearTokensAtStart=NUMBER,
            multiyearConsumedTokens=NUMBER,
            multiyearProvisionedTokens=NUMBER,
        ),
        is_personal=is_personal,
        read=functools.partial(_by_contract, _years),
    ),
    Listing(
        # The labels of customField1 to customField10.
        name="tokenflex_enrichments",
        api=Api.TOKENFLEX,
        primary_keys=("contractNumber", "field"),
        schema=list_schema(contractNumber=STRING, field=STRING, position=NUMBER, label=STRING),
        is_personal=is_personal,
        read=functools.partial(_by_contract, _enrichments),
    ),
    Listing(
        # Tokens by month and usage category, with the older names of the categories.
        name="tokenflex_usage_summary",
        api=Api.TOKENFLEX,
        primary_keys=("contractNumber", "usageMonth", "contractYear", "usageCategory"),
        schema=list_schema(
            contractNumber=STRING,
            usageMonth=DATE,
            contractYear=NUMBER,
            usageCategory=STRING,
            uniqueUsers=NUMBER,
            tokensConsumed=NUMBER,
        ),
        is_personal=is_personal,
        read=functools.partial(_by_contract, _summary),
    ),
    Listing(
        name="tokenflex_last_usage",
        api=Api.TOKENFLEX,
        primary_keys=("contractNumber", "usageCategory", "chargeCategory"),
        schema=list_schema(
            contractNumber=STRING,
            usageCategory=STRING,
            chargeCategory=STRING,
            lastUsageDate=DATE,
            lastProcessDate=DATE,
        ),
        is_personal=is_personal,
        read=functools.partial(_by_contract, _last),
    ),
    Listing(
        # The export requests since the start date, without their links.
        name="tokenflex_export_requests",
        api=Api.TOKENFLEX,
        primary_keys=("contractNumber", "requestKey"),
        schema=list_schema(
            contractNumber=STRING,
            requestKey=STRING,
            requestStatus=STRING,
            downloadFileName=STRING,
            downloadUrlExpireDate=TIMESTAMP,
            exportRequestDate=TIMESTAMP,
            scheduleId=STRING,
            readFlag=STRING,
        ),
        is_personal=is_personal,
        read=functools.partial(_by_contract, _requests),
        left_out=frozenset({"downloadUrl"}),
    ),
)
