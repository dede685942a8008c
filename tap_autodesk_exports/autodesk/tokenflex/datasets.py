"""What Token Flex exports: fields, metrics and usage categories of each set.

The names of fields and metrics are documented; the types of `tokenPool`, `reasonType` and the like
are inferred. Times of desktop sessions are written without a zone and belong to the licence server,
whose offset is a separate column, so they stay as they are written.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tap_autodesk_exports.apis import Api
from tap_autodesk_exports.autodesk.personal import is_personal
from tap_autodesk_exports.loading.dataset import Dataset
from tap_autodesk_exports.tables.spelling import any_spelling
from tap_autodesk_exports.tables.types import Type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_autodesk_exports.settings import TokenFlexExport

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

CUSTOM_FIELDS = tuple(f"customField{number}" for number in range(1, 11))


@dataclasses.dataclass(frozen=True)
class TokenFlexDataset(Dataset):
    """An export of Token Flex.

    Attributes:
        fields: The fields to request.
        metrics: The metrics to request.
        usage_category: The usage categories to request; None leaves them to the server.
        where: The condition to request; that of a dated one is made of its dates.
        by_contract_year: Whether whole contract years are requested.
        takes_other_categories: Whether it also holds usage categories that nobody documented.
    """

    api: str = Api.TOKENFLEX
    columns: Mapping[str, Type] = dataclasses.field(default_factory=dict)
    constants: Mapping[str, Type] = dataclasses.field(
        default_factory=lambda: {"contract_number": Type.STRING}
    )
    is_personal: Callable[[str], bool] = is_personal
    fields: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    usage_category: tuple[str, ...] | None = None
    where: str | None = None
    by_contract_year: bool = False
    takes_other_categories: bool = False

    def __post_init__(self) -> None:
        """Take the columns from what is requested; in a file, their spelling may be another one."""
        names = (*self.fields, *self.metrics)
        columns = {name: TYPES.get(name, Type.STRING) for name in names}
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "rename", any_spelling(columns))


USAGE = TokenFlexDataset(
    name="tokenflex_usage",
    is_dated=True,
    replication_key="usageDate",
    natural_key=(
        "contract_number",
        "usageCategory",
        "usageDate",
        "productLineCode",
        "userName",
    ),
    fields=(
        "usageCategory",
        "usageDate",
        "usageMonth",
        "contractYear",
        "productLineCode",
        "productName",
        "userName",
        *CUSTOM_FIELDS,
    ),
    metrics=("tokensConsumed",),
    usage_category=("DESKTOP_PRODUCT", "CLOUD_PRODUCT", "CLOUD_SERVICE"),
    takes_other_categories=True,
)
"""Tokens by usage category, day, product and user, with the custom fields."""

DESKTOP_SESSIONS = TokenFlexDataset(
    name="tokenflex_desktop_sessions",
    is_dated=True,
    replication_key="usageDate",
    # `chargedItemID` is documented as the ID of a session; that it is unique is not.
    natural_key=("contract_number", "chargedItemID"),
    fields=(
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
    ),
    metrics=("tokensConsumed", "usageMinutes", "usageHours"),
    usage_category=("DESKTOP_PRODUCT",),
)
"""Sessions of desktop products: the documented session-level set."""

MANUAL_USAGE = TokenFlexDataset(
    name="tokenflex_manual_usage",
    is_dated=True,
    by_contract_year=True,
    replication_key="transactionDate",
    natural_key=(
        "contract_number",
        "usageCategory",
        "chargedItemID",
        "usageDate",
        "transactionDate",
        "productLineCode",
    ),
    fields=(
        "contractYear",
        "chargedItemID",
        "reasonType",
        "reasonComment",
        "usageCategory",
        "usageDate",
        "transactionDate",
        "productLineCode",
        "productName",
    ),
    metrics=("tokensConsumed", "quantity"),
    usage_category=("MANUAL_ADJUSTMENT", "MANUAL_CONSUMPTION"),
)
"""Manual adjustments and consumption, which may be entered at any time for any day."""

DATASETS = (USAGE, DESKTOP_SESSIONS, MANUAL_USAGE)


CODES = {"productName": "productLineCode"}
"""Names that change, and what identifies the same thing, where it is requested as well."""


def own_dataset(export: TokenFlexExport) -> TokenFlexDataset:
    """Return an export that the settings define: the full result each time."""
    keys = export.primary_keys or ("_row_id",)
    if not {"contract_number", "_row_id"} & {*keys}:  # what is unique in one contract is not in all
        keys = ("contract_number", *keys)
    lasting = [name for name in export.fields if CODES.get(name) not in export.fields]
    return TokenFlexDataset(
        name=f"tokenflex_{export.name}",
        primary_keys=keys,
        natural_key=("contract_number", *lasting),
        fields=export.fields,
        metrics=export.metrics,
        usage_category=export.usage_category,
        where=export.where,
    )
