"""Streams of Token Flex: contracts and the consumption of their tokens.

The names of fields and metrics are documented; that a file's header holds them as they were asked
for is inferred, and so are the types of `tokenPool`, `reasonType` and the like. Times of desktop
sessions are written without a zone and belong to the licence server, whose offset is a column of
its own, so they stay as they are written.
"""

from __future__ import annotations

import abc
import datetime as dt
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tap_autodesk_exports.clock import canonical, instant
from tap_autodesk_exports.errors import ConfigurationError, TapError
from tap_autodesk_exports.exports.export import ExportSpec
from tap_autodesk_exports.files.convert import as_csv
from tap_autodesk_exports.settings import Api
from tap_autodesk_exports.streams.exported import ExportStream, Load
from tap_autodesk_exports.streams.lists import (
    BOOLEAN,
    DATE,
    NUMBER,
    STRING,
    TIMESTAMP,
    ListStream,
    list_schema,
)
from tap_autodesk_exports.streams.windows import Window, day_begin, years
from tap_autodesk_exports.tables.layout import export_schema
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tap_autodesk_exports.exports.export import FinishedExport
    from tap_autodesk_exports.settings import TokenFlexExport
    from tap_autodesk_exports.tap import TapAutodeskExports

TYPES = {
    "usageDate": Type.DATE,
    "usageMonth": Type.DATE,
    "transactionDate": Type.TIMESTAMP,
    "contractYear": Type.NUMBER,
    "tokensConsumed": Type.NUMBER,
    "quantity": Type.NUMBER,
    "usageMinutes": Type.NUMBER,
    "usageHours": Type.NUMBER,
    "useCount": Type.NUMBER,
    "uniqueUsers": Type.NUMBER,
    "uniqueProducts": Type.NUMBER,
}
"""Types of fields and metrics that are not text."""

LAST_FIELDS = ("chargeCategory", "lastUsageDate", "lastProcessDate")
NO_TIME, DAY = dt.timedelta(0), dt.timedelta(days=1)
CUSTOM_FIELDS = tuple(f"customField{number}" for number in range(1, 11))


class ContractStream(ListStream):
    """A list that is asked for contract by contract; the number is added where it is not told."""

    api = Api.TOKENFLEX

    @override
    def entries(self) -> Iterable[Mapping[str, Any]]:
        for number in contract_numbers(self):
            for entry in self.of_contract(number):
                yield {"contractNumber": number, **entry}

    @abc.abstractmethod
    def of_contract(self, number: str) -> Iterable[Mapping[str, Any]]:
        """Yield the entries of one contract."""


class Contracts(ListStream):
    """The contracts of the user, present and past."""

    api = Api.TOKENFLEX
    name = "tokenflex_contracts"
    primary_keys = ("contractNumber",)
    entry_schema = list_schema(
        contractNumber=STRING,
        contractName=STRING,
        contractStartDate=DATE,
        contractEndDate=DATE,
        isActive=BOOLEAN,
    )

    @override
    def entries(self) -> Iterable[Mapping[str, Any]]:
        return self.run.tokenflex_contracts


class ContractYears(ContractStream):
    """The years of the contracts, with their tokens: a snapshot, not the sum of the usage."""

    name = "tokenflex_contract_years"
    primary_keys = ("contractNumber", "year")
    entry_schema = list_schema(
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
    )

    @override
    def of_contract(self, number: str) -> Iterable[Mapping[str, Any]]:
        contract = self.run.tokenflex.contract(number)
        provisioned = contract.get("multiyearProvisionedTokens")
        for year in contract.get("contractYears") or ():
            yield {**year, "multiyearProvisionedTokens": provisioned}


class Enrichments(ContractStream):
    """The labels of customField1 to customField10."""

    name = "tokenflex_enrichments"
    primary_keys = ("contractNumber", "field")
    entry_schema = list_schema(contractNumber=STRING, field=STRING, position=NUMBER, label=STRING)

    @override
    def of_contract(self, number: str) -> Iterable[Mapping[str, Any]]:
        for position, label in enumerate(self.run.tokenflex.enrichment(number), start=1):
            yield {"field": f"customField{position}", "position": position, "label": label}


class UsageSummary(ContractStream):
    """Tokens by month and usage category, with the older names of the categories."""

    name = "tokenflex_usage_summary"
    primary_keys = ("contractNumber", "usageMonth", "contractYear", "usageCategory")
    entry_schema = list_schema(
        contractNumber=STRING,
        usageMonth=DATE,
        contractYear=NUMBER,
        usageCategory=STRING,
        uniqueUsers=NUMBER,
        tokensConsumed=NUMBER,
    )

    @override
    def of_contract(self, number: str) -> Iterable[Mapping[str, Any]]:
        return self.run.tokenflex.summary(number)


class LastUsage(ContractStream):
    """The last day used and the last day processed, by usage and charge category."""

    name = "tokenflex_last_usage"
    primary_keys = ("contractNumber", "usageCategory", "chargeCategory")
    entry_schema = list_schema(
        contractNumber=STRING,
        usageCategory=STRING,
        chargeCategory=STRING,
        lastUsageDate=DATE,
        lastProcessDate=DATE,
    )

    @override
    def of_contract(self, number: str) -> Iterable[Mapping[str, Any]]:
        return self.run.tokenflex_last(number)


class ExportRequests(ContractStream):
    """The export requests since the start date, without their links."""

    name = "tokenflex_export_requests"
    primary_keys = ("contractNumber", "requestKey")
    entry_schema = list_schema(
        contractNumber=STRING,
        requestKey=STRING,
        requestStatus=STRING,
        downloadFileName=STRING,
        downloadUrlExpireDate=TIMESTAMP,
        exportRequestDate=TIMESTAMP,
        scheduleId=STRING,
        readFlag=STRING,
    )
    left_out = frozenset({"downloadUrl"})

    @override
    def of_contract(self, number: str) -> Iterable[Mapping[str, Any]]:
        start, end = self.run.settings.period(self.run.clock.now())
        return self.run.tokenflex.requests(number, start.date(), end.date() + dt.timedelta(days=1))


def contract_numbers(stream: ExportStream | ListStream) -> list[str]:
    """Return the contracts to read: those of the settings, else all active ones.

    One that ended within the look-back counts as active.

    Raises:
        ConfigurationError: There is none.
    """
    if chosen := stream.run.settings.tokenflex_contract_numbers:
        return list(chosen)
    run = stream.run
    contracts = run.tokenflex_contracts
    since = (run.clock.now() - run.lookback).date().isoformat()
    found = [
        str(contract["contractNumber"])
        for contract in contracts
        # Usage of the last days of a contract comes in when it is over.
        if contract["isActive"] or str(contract.get("contractEndDate") or "") >= since
    ]
    if not found:
        msg = (
            f"Token Flex: this user sees {len(contracts)} contracts, none of them active. Sign in "
            "as a contract manager, name past contracts in 'tokenflex_contract_numbers', or leave "
            "'tokenflex' out of 'apis'."
        )
        raise ConfigurationError(msg)
    return found


class TokenFlexExportStream(ExportStream):
    """A stream out of Token Flex exports: a contract, fields, metrics and usage categories."""

    api = Api.TOKENFLEX
    constants = ("contract_number",)
    fields: Sequence[str]
    metrics: Sequence[str]
    usage_category: Sequence[str] | None = None

    def __init__(self, tap: TapAutodeskExports) -> None:
        super().__init__(
            tap,
            name=self.name,
            schema=export_schema(
                {name: TYPES.get(name, Type.STRING) for name in (*self.fields, *self.metrics)},
                {"contract_number": Type.STRING},
            ),
        )

    @override
    def plan(self) -> list[Load]:
        return [load for number in contract_numbers(self) for load in self._loads_of(number)]

    def _loads_of(self, number: str) -> list[Load]:
        """Plan one contract; where that fails, it fails alone."""
        partition = {"contract_number": number}
        try:
            return [Load(spec, partition) for spec in self.specs(number)]
        except TapError as error:
            spec = ExportSpec(Api.TOKENFLEX.value, number, self.name)
            return [Load(spec, partition, error)]

    def wanted_categories(self, number: str) -> list[str]:  # noqa: ARG002
        """Return the usage categories to ask for; never none."""
        return list(self.usage_category or ())

    @abc.abstractmethod
    def specs(self, number: str) -> Iterable[ExportSpec]:
        """Yield the exports of one contract, oldest first."""

    def period(self, number: str) -> tuple[dt.datetime, dt.datetime]:
        """Return what to read: from the bookmark less the look-back, or from the start date."""
        run, bookmark = self.run, self.bookmark({"contract_number": number})
        return run.settings.period(run.clock.now(), bookmark, run.lookback)

    def spec(self, number: str, window: Window | None, where: str | None) -> ExportSpec:
        """Return one export of a contract."""
        body: dict[str, Any] = {"fields": list(self.fields), "metrics": list(self.metrics)}
        if self.usage_category:
            body["usageCategory"] = self.wanted_categories(number)
        if where:
            body["where"] = where
        return ExportSpec(
            api=Api.TOKENFLEX.value,
            owner=number,
            name=self.name,
            slot=window.slot if window else "",
            body=body,
            **(window.dates if window else {}),
        )

    @override
    def fetch(self, finished: FinishedExport, folder: Path) -> Path | None:
        path = self.run.fetch(finished, finished.files[0], folder)
        return as_csv(path, folder, expected=self.fields)

    @override
    def constant_values(self, finished: FinishedExport) -> Mapping[str, str | None]:
        return {"contract_number": finished.pending.spec.owner}


class ProcessedStream(TokenFlexExportStream):
    """A stream that leaves out usage categories in which nothing was processed since its bookmark.

    `GET usage/:contract/last` tells, by day, when something of a category was processed last. A day
    that was over when it was seen stays as it was; the zone of the day is unknown, so one more day
    must have gone by. What was seen stands in the bookmark under `processed`, and from which day on
    the stream was read then under `read_from`: a longer look-back reads every category.
    """

    is_dated = True

    def __init__(self, tap: TapAutodeskExports) -> None:
        self._asked: dict[str, dt.date] = {}
        self._reads_from: dict[str, str] = {}
        super().__init__(tap)

    @override
    def plan(self) -> list[Load]:
        return [
            load for load in super().plan() if load.error or load.spec.body.get("usageCategory")
        ]

    @override
    def wanted_categories(self, number: str) -> list[str]:
        partition = {"contract_number": number}
        state, loaded = self.get_context_state(partition), self.bookmark(partition) is not None
        start = self._reads_from[number] = canonical(self.period(number)[0])
        seen = state.get("processed")
        if not (seen and loaded) or start < state.get("read_from", ""):
            return list(self.usage_category or ())
        today = self.run.clock.now().date()
        processed = self._processed(number, today, today + DAY)
        return [
            category
            for category in self.usage_category or ()
            if category not in seen or seen[category] != processed.get(category)
        ]

    @override
    def remember(self, load: Load, finished: FinishedExport, state: dict[str, Any]) -> None:
        number = load.partition["contract_number"]
        # An export that an earlier run had asked for knows nothing of the days since.
        asked = dt.date.fromisoformat(finished.pending.asked_at[:10])
        self._asked[number] = min(asked, self._asked.get(number, asked))
        end = instant(finished.pending.spec.end)
        if end and self.tap.loads_of(self, load.partition)[-1] is load:
            state["processed"] = self._processed(number, self._asked[number], end.date())
            state["read_from"] = self._reads_from[number]

    def _processed(self, number: str, seen: dt.date, end: dt.date) -> dict[str, str]:
        """Return category -> what was used and processed last in it, where that is settled.

        Args:
            number: The contract.
            seen: The day of the export.
            end: Its end: a category with usage from there on is to be asked for again.
        """
        settled = (seen - DAY).isoformat()
        found: dict[str, str] = {}
        for category in self.usage_category or ():
            entries = sorted(
                tuple(str(entry.get(name)) for name in LAST_FIELDS)
                for entry in self.run.tokenflex_last(number)
                if entry.get("usageCategory") == category
            )
            if all(used < end.isoformat() and day < settled for _, used, day in entries):
                found[category] = "; ".join(" ".join(entry) for entry in entries)
        return found


class DatedTokenFlexStream(ProcessedStream):
    """A stream by day of usage, from the bookmark less the look-back up to now."""

    primary_keys = ("_row_id",)
    replication_key = "usageDate"

    @override
    def specs(self, number: str) -> Iterable[ExportSpec]:
        start, end = self.period(number)
        for window in years(day_begin(start), end):
            yield self.spec(number, window, _between(window))


def _between(window: Window) -> str:
    """Return the condition for a window, whole days: the last one is included."""
    last = window.end - dt.timedelta(microseconds=1)
    after = last.date() + dt.timedelta(days=1)
    return f"usageDate >= '{window.start:%Y-%m-%d}' and usageDate < '{after:%Y-%m-%d}'"


class Usage(DatedTokenFlexStream):
    """Tokens by usage category, day, product and user, with the custom fields."""

    name = "tokenflex_usage"
    natural_key = (
        "contract_number",
        "usageCategory",
        "usageDate",
        "contractYear",
        "productLineCode",
        "productName",
        "userName",
    )
    fields = (
        "usageCategory",
        "usageDate",
        "usageMonth",
        "contractYear",
        "productLineCode",
        "productName",
        "userName",
        *CUSTOM_FIELDS,
    )
    metrics = ("tokensConsumed",)
    usage_category = ("DESKTOP_PRODUCT", "CLOUD_PRODUCT", "CLOUD_SERVICE")


class DesktopSessions(DatedTokenFlexStream):
    """Sessions of desktop products: the documented session-level set.

    `chargedItemID` is said to be the ID of a session; that it is unique is not said, so it is the
    natural key behind `_row_id` and not the key itself.
    """

    name = "tokenflex_desktop_sessions"
    natural_key = ("contract_number", "chargedItemID")
    fields = (
        "usageMonth",
        "usageDate",
        "contractYear",
        "productName",
        "productLineCode",
        "productVersion",
        "productFeatureCode",
        "userName",
        "machineName",
        "sessionStartDate",
        "sessionEndDate",
        "licenseServerTimeZoneOffset",
        "chargedItemID",
        "chargeCategory",
        "licenseServerName",
        "usageType",
        "usageCategory",
        *CUSTOM_FIELDS,
    )
    metrics = ("tokensConsumed", "usageMinutes", "usageHours")
    usage_category = ("DESKTOP_PRODUCT",)


class ManualUsage(ProcessedStream):
    """Manual adjustments and consumption, which may be entered at any time for any day.

    So whole contract years are read: all that lie in the period the first time, later the one of
    the bookmark less the look-back, and the one before, whose entries may still come.
    """

    name = "tokenflex_manual_usage"
    primary_keys = ("_row_id",)
    replication_key = "transactionDate"
    natural_key = (
        "contract_number",
        "usageCategory",
        "chargedItemID",
        "usageDate",
        "transactionDate",
        "productLineCode",
    )
    fields = (
        "contractYear",
        "chargedItemID",
        "reasonType",
        "reasonComment",
        "usageCategory",
        "usageDate",
        "transactionDate",
        "productLineCode",
        "productName",
    )
    metrics = ("tokensConsumed", "quantity")
    usage_category = ("MANUAL_ADJUSTMENT", "MANUAL_CONSUMPTION")

    @override
    def specs(self, number: str) -> Iterable[ExportSpec]:
        start, end = self.period(number)
        start -= dt.timedelta(days=365) if self.bookmark({"contract_number": number}) else NO_TIME
        for year in self.run.tokenflex.contract(number).get("contractYears") or ():
            begins, ends = instant(year.get("startDate")), instant(year.get("endDate"))
            if begins and ends and begins < end and ends + dt.timedelta(days=1) > start:
                over = min(ends + dt.timedelta(days=1), end)
                window = Window(f"year {year['year']}", begins, over)
                yield self.spec(number, window, f"contractYear={year['year']}")


class OwnExport(TokenFlexExportStream):
    """An export that the settings define: the full result each time."""

    def __init__(self, tap: TapAutodeskExports, export: TokenFlexExport) -> None:
        self.name = f"tokenflex_{export.name}"
        self.fields = export.fields
        self.metrics = export.metrics
        self.usage_category = export.usage_category
        self._where = export.where
        self.natural_key = ("contract_number", *export.fields)
        super().__init__(tap)
        self.primary_keys = tuple(export.primary_keys or ("_row_id",))

    @override
    def specs(self, number: str) -> Iterable[ExportSpec]:
        yield self.spec(number, None, self._where)


STREAMS = (
    Contracts,
    ContractYears,
    Enrichments,
    UsageSummary,
    LastUsage,
    ExportRequests,
    Usage,
    DesktopSessions,
    ManualUsage,
)
