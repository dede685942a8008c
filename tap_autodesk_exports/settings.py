"""Every setting once: its type, its default, whether it is secret, and what must go together.

`SETTINGS` is the JSON schema that the Singer SDK shows, validates and documents; `Settings` is what
the rest of the tap reads.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

from tap_autodesk_exports.apis import Api, Flow
from tap_autodesk_exports.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

API_URL = "https://developer.api.autodesk.com"
DEFAULT_HISTORY_DAYS = 365
SHORTEST_HASH_KEY = 16
"""Characters: 64 random bits as hexadecimal digits."""
CONCURRENT_EXPORTS = 16
"""A year is twelve monthly windows, and they are to take as long as the slowest of them. It stays
below what is documented: 50 open exports of a Token Flex user, 24 jobs a day of a Data Connector
account. Limits of requests a minute do not depend on it: each API's client keeps to them."""


_TEXTS = th.ArrayType(th.StringType)


def _credentials() -> list[th.Property[Any]]:
    """The settings that say who signs in and how: for all APIs, and again for one of them."""
    return [
        th.Property(
            "client_id",
            th.StringType,
            title="Client ID",
            description="Client ID of the Autodesk Platform Services app.",
        ),
        th.Property(
            "client_secret",
            th.StringType,
            secret=True,
            title="Client secret",
            description="Client secret of the app; a public app (PKCE) has none.",
        ),
        th.Property(
            "auth_flow",
            th.StringType(allowed_values=[flow.value for flow in Flow]),
            title="Sign-in flow",
            description="How to sign in. Inferred from the credentials given where that is clear.",
        ),
        th.Property(
            "refresh_token",
            th.StringType,
            secret=True,
            title="Refresh token",
            description=(
                "The refresh token to begin with. Autodesk accepts each one once; the newer ones "
                "are kept in `token_store`."
            ),
        ),
        th.Property(
            "service_account_id",
            th.StringType,
            title="Service account ID",
            description="ID of a Secure Service Account.",
        ),
        th.Property(
            "service_account_key_id",
            th.StringType,
            title="Service account key ID",
            description="ID of the key of the Secure Service Account.",
        ),
        th.Property(
            "service_account_private_key",
            th.StringType,
            secret=True,
            title="Service account private key",
            description="Private key of the Secure Service Account: PEM text, or a path to it.",
        ),
        th.Property(
            "personal_access_token",
            th.StringType,
            secret=True,
            title="Personal access token",
            description="Sent to Insights as `ADSK-PAT`, together with `client_credentials`.",
        ),
        th.Property(
            "access_token",
            th.StringType,
            secret=True,
            title="Access token",
            description="A ready access token, for a trial: it lasts an hour and is not renewed.",
        ),
    ]


SETTINGS = th.PropertiesList(
    th.Property(
        "apis",
        th.ArrayType(th.StringType(allowed_values=[api.value for api in Api])),
        default=[api.value for api in Api],
        title="APIs",
        description="Which Autodesk APIs to offer streams of.",
    ),
    *_credentials(),
    th.Property(
        "token_store",
        th.StringType,
        title="Token store",
        description=(
            "Where rotated refresh tokens are kept: a path, or a URL such as s3://…. Default: a "
            "file of this app in the user's state folder, such as ~/.local/state on Linux."
        ),
    ),
    th.Property(
        "credentials",
        th.ObjectType(
            *(
                th.Property(api.value, th.ObjectType(*_credentials(), additional_properties=False))
                for api in Api
            ),
            additional_properties=False,
        ),
        secret=True,
        title="Credentials per API",
        description=(
            "Other credentials for one API: `insights`, `tokenflex` or `data_connector` with the "
            "settings above, from `client_id` to `access_token`, that differ for it. What is not "
            "given is taken from above, unless the API has a `client_id` of its own: then it "
            'shares nothing. Example: {"insights": {"auth_flow": "client_credentials", '
            '"personal_access_token": "…"}} beside a `refresh_token` for the rest.'
        ),
    ),
    th.Property(
        "api_url",
        th.StringType,
        default=API_URL,
        title="API URL",
        description="The one host of all three APIs and of OAuth.",
    ),
    th.Property(
        "start_date",
        th.DateTimeType,
        title="Start date",
        description=(
            "Begin of dated exports. Default: 12 months ago. Changes (cdc) begin with all rows."
        ),
    ),
    th.Property(
        "end_date",
        th.DateTimeType,
        title="End date",
        description="End of dated exports. Default: now.",
    ),
    th.Property(
        "lookback_days",
        th.IntegerType(minimum=0),
        default=35,
        title="Look-back days",
        description="Days before the bookmark that are read again, for late and restated usage.",
    ),
    th.Property(
        "insights_team_ids",
        _TEXTS,
        title="Insights team IDs",
        description="Teams to export. Default: all teams with reporting access.",
    ),
    th.Property(
        "insights_export_scope",
        th.StringType(allowed_values=["per_team", "all_teams"]),
        default="per_team",
        title="Insights export scope",
        description="One export for each team, or one for all teams of the user.",
    ),
    th.Property(
        "insights_output_format",
        th.StringType(allowed_values=["CSV", "EXCEL", "JSON"]),
        default="CSV",
        title="Insights output format",
        description="File format that Insights is asked for.",
    ),
    th.Property(
        "insights_usage_report_filters",
        th.ObjectType(additional_properties=True),
        default={},
        title="Insights usage report filters",
        description="Filters of the usage report, as the Insights documentation names them.",
    ),
    th.Property(
        "tokenflex_contract_numbers",
        _TEXTS,
        title="Token Flex contract numbers",
        description=(
            "Contracts to export. Default: all active contracts, and those that ended within "
            "`lookback_days`."
        ),
    ),
    th.Property(
        "tokenflex_exports",
        th.ArrayType(
            th.ObjectType(
                th.Property("name", th.StringType, required=True),
                th.Property("fields", _TEXTS, default=[]),
                th.Property("metrics", _TEXTS, default=[]),
                th.Property("usage_category", _TEXTS),
                th.Property("where", th.StringType),
                th.Property("primary_keys", _TEXTS),
            )
        ),
        default=[],
        title="Token Flex exports",
        description="Exports of your own; each becomes a stream `tokenflex_<name>`.",
    ),
    th.Property(
        "data_connector_account_ids",
        _TEXTS,
        title="Data Connector account IDs",
        description="Accounts to extract, with or without the `b.` prefix of a hub ID.",
    ),
    th.Property(
        "data_connector_project_ids",
        _TEXTS,
        title="Data Connector project IDs",
        description=(
            "Projects to extract, 50 to a request in this order: add new ones at the end. Default: "
            "all. A project admin must list them."
        ),
    ),
    th.Property(
        "data_connector_project_status",
        th.StringType(allowed_values=["all", "archived", "active"]),
        default="all",
        title="Data Connector project status",
        description="Which projects an extract covers.",
    ),
    th.Property(
        "data_connector_service_groups",
        _TEXTS,
        title="Data Connector service groups",
        description="Service groups whose tables discovery offers. Default: all.",
    ),
    th.Property(
        "data_connector_extract",
        th.StringType(allowed_values=["auto", "latest", "new"]),
        default="auto",
        title="Data Connector extract",
        description=(
            "`auto`: the newest successful extract that covers what is selected and is young "
            "enough, else a new one; `latest`: never ask for a new one; `new`: always."
        ),
    ),
    th.Property(
        "data_connector_max_age_hours",
        th.NumberType(minimum=0),
        default=24,
        title="Data Connector maximum age",
        description="Age in hours up to which `auto` takes an extract that is already there.",
    ),
    th.Property(
        "data_connector_job_id",
        th.StringType,
        title="Data Connector job ID",
        description=(
            "Load exactly this extract, whatever projects it was asked for, so that many workers "
            "can share one: each selects tables of its own and has a state of its own."
        ),
    ),
    th.Property(
        "data_connector_schema",
        th.StringType(allowed_values=["bundled", "live"]),
        default="bundled",
        title="Data Connector schema",
        description=(
            "Where discovery takes tables and columns from: the schema that comes with this "
            "release, or what Autodesk publishes now. `autodesk-exports schema` shows the "
            "difference."
        ),
    ),
    th.Property(
        "data_connector_sdc_deleted_at",
        th.BooleanType,
        default=False,
        title="Data Connector _sdc_deleted_at",
        description=(
            "Give the tables of the cdc groups a column `_sdc_deleted_at` that repeats "
            "`deleted_at`, for targets that delete or mark rows by it."
        ),
    ),
    th.Property(
        "hash_columns",
        _TEXTS,
        default=[],
        title="Hashed columns",
        description=(
            "Columns with personal data, as patterns of `stream.column` such as `*.email` or "
            "`insights_users.first_name`, whatever their case: a keyed hash takes the place of "
            "each value, the same for the same value in every stream. Addresses are hashed in "
            "small letters; null, the empty string and Autodesk's own `*****` stay. Needs "
            "`hash_key`."
        ),
    ),
    th.Property(
        "hash_key",
        th.StringType,
        secret=True,
        title="Hash key",
        description=(
            "The secret key of the hashes (HMAC with SHA-256), of at least 16 characters. Without "
            "it they cannot be made again; another key gives other hashes."
        ),
    ),
    th.Property(
        "max_concurrent_exports",
        th.IntegerType(minimum=1),
        default=CONCURRENT_EXPORTS,
        title="Concurrent exports",
        description="How many exports of one API may run on the server at the same time.",
    ),
    th.Property(
        "poll_interval_seconds",
        th.NumberType(exclusive_minimum=0),
        title="Poll interval",
        description="Longest pause in seconds between two looks at an export. Default: per API.",
    ),
    th.Property(
        "export_timeout_minutes",
        th.NumberType(exclusive_minimum=0),
        default=1440,
        title="Export timeout",
        description="Minutes to wait for an export; one that takes longer is taken up next run.",
    ),
    th.Property(
        "sandbox",
        th.BooleanType,
        default=False,
        title="Sandbox",
        description="Start the built-in sandbox on loopback and use it: no account is needed.",
    ),
)


@dataclasses.dataclass(frozen=True)
class TokenFlexExport:
    """An export that the user defined: becomes the stream `tokenflex_<name>`."""

    name: str
    fields: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    usage_category: tuple[str, ...] | None = None
    where: str | None = None
    primary_keys: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings as typed values. Names and defaults are those of `SETTINGS`."""

    apis: tuple[Api, ...] = tuple(Api)
    client_id: str | None = None
    client_secret: str | None = dataclasses.field(default=None, repr=False)
    auth_flow: Flow | None = None
    refresh_token: str | None = dataclasses.field(default=None, repr=False)
    token_store: str | None = None
    service_account_id: str | None = None
    service_account_key_id: str | None = None
    service_account_private_key: str | None = dataclasses.field(default=None, repr=False)
    personal_access_token: str | None = dataclasses.field(default=None, repr=False)
    access_token: str | None = dataclasses.field(default=None, repr=False)
    credentials: Mapping[Api, Mapping[str, str]] = dataclasses.field(
        default_factory=dict, repr=False
    )
    api_url: str = API_URL
    start_date: dt.datetime | None = None
    end_date: dt.datetime | None = None
    lookback_days: int = 35
    insights_team_ids: tuple[str, ...] | None = None
    insights_export_scope: str = "per_team"
    insights_output_format: str = "CSV"
    insights_usage_report_filters: dict[str, Any] = dataclasses.field(default_factory=dict)
    tokenflex_contract_numbers: tuple[str, ...] | None = None
    tokenflex_exports: tuple[TokenFlexExport, ...] = ()
    data_connector_account_ids: tuple[str, ...] = ()
    data_connector_project_ids: tuple[str, ...] = ()
    data_connector_project_status: str = "all"
    data_connector_service_groups: tuple[str, ...] | None = None
    data_connector_extract: str = "auto"
    data_connector_max_age_hours: float = 24
    data_connector_job_id: str | None = None
    data_connector_schema: str = "bundled"
    data_connector_sdc_deleted_at: bool = False
    hash_columns: tuple[str, ...] = ()
    hash_key: str | None = dataclasses.field(default=None, repr=False)
    max_concurrent_exports: int = CONCURRENT_EXPORTS
    poll_interval_seconds: float | None = None
    export_timeout_minutes: float = 1440
    sandbox: bool = False

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Read a Singer configuration that the JSON schema has accepted.

        Args:
            config: Setting name -> value; unknown names are left to the SDK.

        Raises:
            ConfigurationError: A value cannot be read; the sentence names the setting.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        given = {name: value for name, value in config.items() if name in known}
        settings = cls(
            **{name: _read(name, value) for name, value in given.items() if value is not None}
        )
        settings._check_hashing()
        return settings

    def _check_hashing(self) -> None:
        """Raise an error where personal data would not be hidden, or badly."""
        if not self.hash_columns:
            return
        if bare := [text for text in self.hash_columns if not {".", "*"} & set(text)]:
            msg = (
                f"Setting 'hash_columns' holds {bare[0]!r}, which names no column: write "
                f"`stream.column`, such as '*.{bare[0]}'."
            )
            raise ConfigurationError(msg)
        wanted = "give a secret key, such as the output of `openssl rand -hex 32`, and keep it."
        if not self.hash_key:
            msg = (
                f"Setting 'hash_columns' names columns to hash, and 'hash_key' is missing: {wanted}"
            )
            raise ConfigurationError(msg)
        if len(self.hash_key) < SHORTEST_HASH_KEY:
            msg = (
                f"Setting 'hash_key' has fewer than {SHORTEST_HASH_KEY} characters, so that it "
                f"could be found out by trying, and the hashed values with it: {wanted}"
            )
            raise ConfigurationError(msg)

    def period(
        self,
        now: dt.datetime,
        bookmark: dt.datetime | None = None,
        lookback: dt.timedelta = dt.timedelta(0),
    ) -> tuple[dt.datetime, dt.datetime]:
        """Return begin and end of dated exports, both aware, in UTC.

        Args:
            now: The end, where no end date is set.
            bookmark: Up to where was read before.
            lookback: How much of that is read again, though nothing before the start date.

        Raises:
            ConfigurationError: The begin is not before the end.
        """
        end = self.end_date or now
        start = self.start_date or end - dt.timedelta(days=DEFAULT_HISTORY_DAYS)
        if start >= end:
            msg = (
                f"Setting 'start_date' ({start:%Y-%m-%d}) is not before 'end_date' "
                f"({end:%Y-%m-%d}): give an earlier start or a later end."
            )
            raise ConfigurationError(msg)
        if bookmark:
            again = bookmark - lookback
            start = max(start, again) if self.start_date else again
        return start, end


def _read(name: str, value: Any) -> Any:  # noqa: ANN401
    if name in {"start_date", "end_date"}:
        return _instant(name, value)
    if reader := _READERS.get(name):
        return reader(value)
    return tuple(value) if isinstance(value, list) else value


def _ids(values: list[str]) -> tuple[str, ...]:
    """Return bare IDs, each once: one of the Data Management API begins with `b.`."""
    return tuple(dict.fromkeys(value.removeprefix("b.") for value in values))


def _object(value: str | Mapping[str, Any]) -> dict[str, Any]:
    """Return an object that an environment variable may hand over as JSON text."""
    return json.loads(value) if isinstance(value, str) else dict(value)


def _own_export(export: Mapping[str, Any]) -> TokenFlexExport:
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in export.items()
        if value is not None
    }
    return TokenFlexExport(**given)


_READERS: dict[str, Callable[[Any], Any]] = {
    "apis": lambda value: tuple(Api(api) for api in value),
    "auth_flow": Flow,
    "credentials": lambda value: {
        Api(api): {name: text for name, text in given.items() if text}
        for api, given in _object(value).items()
        if given
    },
    "insights_usage_report_filters": _object,
    "tokenflex_exports": lambda value: tuple(_own_export(export) for export in value),
    "data_connector_account_ids": _ids,
    "data_connector_project_ids": _ids,
    "api_url": lambda value: value.rstrip("/"),
}


def _instant(name: str, value: str) -> dt.datetime:
    try:
        instant = dt.datetime.fromisoformat(value)
    except ValueError:
        msg = f"Setting '{name}' ({value!r}) is not a date: write it as 2026-01-31 or with a time."
        raise ConfigurationError(msg) from None
    return instant.replace(tzinfo=dt.UTC) if instant.tzinfo is None else instant.astimezone(dt.UTC)
