"""Every setting once: its type, its default, its title and its description.

The schema that the Singer SDK shows and the documentation are made from here (see `schema`).
"""

# Annotations are read when the schema is made, so what they name is imported for real.

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any, Literal, Self

from tap_autodesk_exports.apis import Api, Flow
from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.settings.kinds import Unreadable
from tap_autodesk_exports.settings.schema import read, secret_settings, setting

API_URL = "https://developer.api.autodesk.com"
DEFAULT_HISTORY_DAYS = 365
SHORTEST_HASH_KEY = 16
"""Characters: 64 random bits as hexadecimal digits."""
CONCURRENT_EXPORTS = 16
"""A year is twelve monthly windows, and they are to take as long as the slowest of them. It stays
below what is documented: 50 open exports of a Token Flex user, 24 jobs a day of a Data Connector
account. Limits of requests a minute do not depend on it: each API's client keeps to them."""


@dataclasses.dataclass(frozen=True)
class TokenFlexExport:
    """An export that the user defined: becomes the stream `tokenflex_<name>`."""

    name: str
    fields: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    usage_category: tuple[str, ...] | None = None
    where: str | None = None
    primary_keys: tuple[str, ...] | None = None


def _bare_ids(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return bare IDs, each once: one of the Data Management API begins with `b.`."""
    return tuple(dict.fromkeys(value.removeprefix("b.") for value in values))


def _without_slash(url: str) -> str:
    return url.rstrip("/")


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings as typed values."""

    apis: tuple[Api, ...] = setting(tuple(Api), "APIs", "Which Autodesk APIs to offer streams of.")
    client_id: str | None = setting(
        None, "Client ID", "Client ID of the Autodesk Platform Services app.", per_api=True
    )
    client_secret: str | None = setting(
        None,
        "Client secret",
        "Client secret of the app; a public app (PKCE) has none.",
        secret=True,
        per_api=True,
    )
    auth_flow: Flow | None = setting(
        None,
        "Sign-in flow",
        "How to sign in. Inferred from the credentials given where that is clear.",
        per_api=True,
    )
    refresh_token: str | None = setting(
        None,
        "Refresh token",
        "The refresh token to begin with. Autodesk accepts each one once; the newer ones are "
        "kept in `token_store`.",
        secret=True,
        per_api=True,
    )
    service_account_id: str | None = setting(
        None, "Service account ID", "ID of a Secure Service Account.", per_api=True
    )
    service_account_key_id: str | None = setting(
        None, "Service account key ID", "ID of the key of the Secure Service Account.", per_api=True
    )
    service_account_private_key: str | None = setting(
        None,
        "Service account private key",
        "Private key of the Secure Service Account: PEM text, or a path to it.",
        secret=True,
        per_api=True,
    )
    personal_access_token: str | None = setting(
        None,
        "Personal access token",
        "Sent to Insights as `ADSK-PAT`, together with `client_credentials`.",
        secret=True,
        per_api=True,
    )
    access_token: str | None = setting(
        None,
        "Access token",
        "A ready access token, for a trial: it lasts an hour and is not renewed.",
        secret=True,
        per_api=True,
    )
    token_store: str | None = setting(
        None,
        "Token store",
        "Where rotated refresh tokens are kept: a path, or a URL such as s3://…. Default: a "
        "file of this app in the user's state folder, such as ~/.local/state on Linux.",
    )
    credentials: Mapping[Api, Mapping[str, str]] = setting(
        {},
        "Credentials per API",
        "Other credentials for one API: `insights`, `tokenflex` or `data_connector` with the "
        "settings above, from `client_id` to `access_token`, that differ for it. What is not "
        "given is taken from above, unless the API has a `client_id` of its own: then it "
        'shares nothing. Example: {"insights": {"auth_flow": "client_credentials", '
        '"personal_access_token": "…"}} beside a `refresh_token` for the rest.',
        secret=True,
        default_in_words=True,
    )
    api_url: str = setting(
        API_URL, "API URL", "The one host of all three APIs and of OAuth.", convert=_without_slash
    )
    start_date: dt.datetime | None = setting(
        None,
        "Start date",
        "Begin of dated exports. Default: 12 months ago. Changes (cdc) begin with all rows.",
    )
    end_date: dt.datetime | None = setting(None, "End date", "End of dated exports. Default: now.")
    lookback_days: int = setting(
        35,
        "Look-back days",
        "Days before the bookmark that are read again, for late and restated usage.",
        minimum=0,
    )
    insights_team_ids: tuple[str, ...] | None = setting(
        None, "Insights team IDs", "Teams to export. Default: all teams with reporting access."
    )
    insights_export_scope: Literal["per_team", "all_teams"] = setting(
        "per_team",
        "Insights export scope",
        "One export for each team, or one for all teams of the user.",
    )
    insights_output_format: Literal["CSV", "EXCEL", "JSON"] = setting(
        "CSV", "Insights output format", "File format that Insights is asked for."
    )
    insights_usage_report_filters: dict[str, Any] = setting(
        {},
        "Insights usage report filters",
        "Filters of the usage report, as the Insights documentation names them.",
    )
    tokenflex_contract_numbers: tuple[str, ...] | None = setting(
        None,
        "Token Flex contract numbers",
        "Contracts to export. Default: all active contracts, and those that ended within "
        "`lookback_days`.",
    )
    tokenflex_exports: tuple[TokenFlexExport, ...] = setting(
        (), "Token Flex exports", "Exports of your own; each becomes a stream `tokenflex_<name>`."
    )
    data_connector_account_ids: tuple[str, ...] = setting(
        (),
        "Data Connector account IDs",
        "Accounts to extract, with or without the `b.` prefix of a hub ID.",
        default_in_words=True,
        convert=_bare_ids,
    )
    data_connector_project_ids: tuple[str, ...] = setting(
        (),
        "Data Connector project IDs",
        "Projects to extract, 50 to a request in this order: add new ones at the end. "
        "Default: all. A project admin must list them.",
        default_in_words=True,
        convert=_bare_ids,
    )
    data_connector_project_status: Literal["all", "archived", "active"] = setting(
        "all", "Data Connector project status", "Which projects an extract covers."
    )
    data_connector_service_groups: tuple[str, ...] | None = setting(
        None,
        "Data Connector service groups",
        "Service groups whose tables discovery offers. Default: all.",
    )
    data_connector_extract: Literal["auto", "latest", "new"] = setting(
        "auto",
        "Data Connector extract",
        "`auto`: the newest successful extract that covers what is selected and is young "
        "enough, else a new one; `latest`: never ask for a new one; `new`: always.",
    )
    data_connector_max_age_hours: float = setting(
        24,
        "Data Connector maximum age",
        "Age in hours up to which `auto` takes an extract that is already there.",
        minimum=0,
    )
    data_connector_job_id: str | None = setting(
        None,
        "Data Connector job ID",
        "Load exactly this extract, whatever projects it was asked for, so that many workers "
        "can share one: each selects tables of its own and has a state of its own.",
    )
    data_connector_schema: Literal["bundled", "live"] = setting(
        "bundled",
        "Data Connector schema",
        "Where discovery takes tables and columns from: the schema that comes with this "
        "release, or what Autodesk publishes now. `autodesk-exports schema` shows the "
        "difference.",
    )
    data_connector_sdc_deleted_at: bool = setting(
        False,
        "Data Connector _sdc_deleted_at",
        "Give the tables of the cdc groups a column `_sdc_deleted_at` that repeats "
        "`deleted_at`, for targets that delete or mark rows by it.",
    )
    hash_columns: tuple[str, ...] = setting(
        (),
        "Hashed columns",
        "Columns with personal data, as patterns of `stream.column` such as `*.email` or "
        "`insights_users.first_name`, whatever their case: a keyed hash takes the place of "
        "each value, the same for the same value in every stream. Addresses are hashed in "
        "small letters; null, the empty string and Autodesk's own `*****` stay. Needs "
        "`hash_key`.",
    )
    hash_key: str | None = setting(
        None,
        "Hash key",
        "The secret key of the hashes (HMAC with SHA-256), of at least 16 characters. Without"
        " it they cannot be made again; another key gives other hashes.",
        secret=True,
    )
    max_concurrent_exports: int = setting(
        CONCURRENT_EXPORTS,
        "Concurrent exports",
        "How many exports of one API may run on the server at the same time.",
        minimum=1,
    )
    poll_interval_seconds: float | None = setting(
        None,
        "Poll interval",
        "Longest pause in seconds between two looks at an export. Default: per API.",
        above=0,
    )
    export_timeout_minutes: float = setting(
        1440,
        "Export timeout",
        "Minutes to wait for an export; one that takes longer is taken up next run.",
        above=0,
    )
    sandbox: bool = setting(
        False, "Sandbox", "Start the built-in sandbox on loopback and use it: no account is needed."
    )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read a Singer configuration.

        Args:
            config: Setting name -> value; null is the default. Unknown names are left to the SDK.

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
    try:
        return read(Settings, name, value)
    except Unreadable as error:
        shown = "" if name in secret_settings(Settings) else f" ({error.value!r})"
        msg = f"Setting '{name}{error.at}'{shown} {error.problem}: {error.remedy}."
        raise ConfigurationError(msg) from None
