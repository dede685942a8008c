"""Every setting once: its type, its default, its title and its description.

The schema that the Singer SDK shows and the documentation are made from here (see `schema`).
"""

# The schema is made from the annotations, so what they name is imported when the program runs.

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, Self

from tap_autodesk_exports.apis import Api, Flow
from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.settings import forms, rules
from tap_autodesk_exports.settings.own_exports import TokenFlexExport
from tap_autodesk_exports.settings.rules import Known, WrongSettings
from tap_autodesk_exports.settings.schema import read_all, setting

API_URL = "https://developer.api.autodesk.com"
DEFAULT_HISTORY_DAYS = 365
CONCURRENT_EXPORTS = 16
"""A year is twelve monthly windows, which should take as long as the slowest of them. It stays
below what is documented: 50 open exports of a Token Flex user, 24 jobs a day of a Data Connector
account. Limits of requests a minute do not depend on it: each API's client keeps to them."""


def _bare_ids(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return bare IDs, each once: one of the Data Management API begins with `b.`."""
    return tuple(dict.fromkeys(value.lower().removeprefix("b.") for value in values))


def _without_slash(url: str) -> str:
    return url.rstrip("/")


@dataclasses.dataclass(frozen=True)
class SignInSettings:
    """Which APIs to use, and how to sign in to them."""

    apis: tuple[Api, ...] = setting(tuple(Api), "APIs", "Which Autodesk APIs to offer streams of.")
    client_id: str | None = setting(
        None,
        "Client ID",
        "Client ID of the Autodesk Platform Services app.",
        per_api=True,
        form=forms.APP,
    )
    client_secret: str | None = setting(
        None,
        "Client secret",
        "Client secret of the app; a public app (PKCE) has none.",
        secret=True,
        per_api=True,
        form=forms.SECRET,
    )
    auth_flow: Flow | None = setting(
        None,
        "Sign-in flow",
        "How to sign in. By default it follows from the credentials, and from what "
        "`autodesk-exports login` has stored for the app.",
        per_api=True,
    )
    refresh_token: str | None = setting(
        None,
        "Refresh token",
        "The first refresh token. Autodesk accepts each one once; the newer ones are kept in "
        "`token_store`.",
        secret=True,
        per_api=True,
        form=forms.SECRET,
    )
    service_account_id: str | None = setting(
        None, "Service account ID", "ID of a Secure Service Account.", per_api=True, form=forms.APP
    )
    service_account_key_id: str | None = setting(
        None,
        "Service account key ID",
        "ID of the key of the Secure Service Account.",
        per_api=True,
        form=forms.APP,
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
        form=forms.SECRET,
    )
    access_token: str | None = setting(
        None,
        "Access token",
        "A ready access token, for a trial: it lasts an hour and is not renewed.",
        secret=True,
        per_api=True,
        form=forms.SECRET,
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
        "given is taken from above, unless the API has its own `client_id`: then it "
        'shares nothing. Example: {"insights": {"auth_flow": "client_credentials", '
        '"personal_access_token": "…"}} beside a `refresh_token` for the rest.',
        secret=True,
        default_in_words=True,
    )
    api_url: str = setting(
        API_URL,
        "API URL",
        "The one host of all three APIs and of OAuth.",
        convert=_without_slash,
        form=forms.URL,
    )


@dataclasses.dataclass(frozen=True)
class Settings(SignInSettings):
    """The settings as typed values."""

    start_date: dt.datetime | None = setting(
        None,
        "Start date",
        "Start of the date range to export. Default: 12 months ago. Tables of changes (cdc) "
        "start with all rows.",
    )
    end_date: dt.datetime | None = setting(
        None,
        "End date",
        "End of the date range to export. Default: now, which is also what a later date means.",
    )
    lookback_days: int = setting(
        35,
        "Look-back days",
        "Days before the bookmark that are read again, for late and restated usage.",
        minimum=0,
        maximum=36_500,
    )
    insights_team_ids: tuple[str, ...] | None = setting(
        None,
        "Insights team IDs",
        "Teams to export. Default: all teams with reporting access.",
        form=forms.NUMBER,
    )
    insights_export_scope: Literal["per_team", "all_teams"] = setting(
        "per_team",
        "Insights export scope",
        "One export for each team, or one for all teams of the user.",
    )
    insights_output_format: Literal["CSV", "EXCEL", "JSON"] = setting(
        "CSV", "Insights output format", "File format to request from Insights."
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
        "`lookback_days`, or after they were loaded last.",
        form=forms.NUMBER,
    )
    tokenflex_exports: tuple[TokenFlexExport, ...] = setting(
        (), "Token Flex exports", "Your own exports; each becomes a stream `tokenflex_<name>`."
    )
    data_connector_account_ids: tuple[str, ...] = setting(
        (),
        "Data Connector account IDs",
        "Accounts to extract, with or without the `b.` prefix of a hub ID.",
        default_in_words=True,
        convert=_bare_ids,
        form=forms.HUB_ID,
    )
    data_connector_project_ids: tuple[str, ...] = setting(
        (),
        "Data Connector project IDs",
        "Projects to extract, 50 to a request in this order: add new ones at the end. "
        "Default: all. A project admin must list them.",
        default_in_words=True,
        convert=_bare_ids,
        form=forms.HUB_ID,
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
        "enough, else a new one; `latest`: never request a new one; `new`: always, unless a run "
        "that was interrupted within the hour has requested it.",
    )
    data_connector_max_age_hours: float = setting(
        24,
        "Data Connector maximum age",
        "Age in hours up to which `auto` uses an extract that is already there.",
        minimum=0,
    )
    data_connector_job_id: str | None = setting(
        None,
        "Data Connector job ID",
        "Load exactly this extract, so that many workers can share one: each selects its own "
        "tables and has its own state. It must cover what is selected, and may hold more projects.",
        form=forms.JOB_ID,
    )
    data_connector_schema: Literal["bundled", "live"] = setting(
        "bundled",
        "Data Connector schema",
        "Where discovery gets tables and columns from: the schema that comes with this "
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
        "`insights_users.first_name`, whatever their case: each value is replaced by a "
        "keyed hash, the same for the same value in every stream. Addresses are hashed in "
        "lower case; null, the empty string and Autodesk's own `*****` stay. Needs "
        "`hash_key`.",
    )
    hash_personal_data: bool = setting(
        False,
        "Hash personal data",
        "Hash all columns that are known to hold personal data, in every stream, in addition to "
        "`hash_columns`. Needs `hash_key`.",
    )
    hash_key: str | None = setting(
        None,
        "Hash key",
        "The secret key of the hashes (HMAC with SHA-256), of at least 16 characters. Without "
        "it they cannot be reproduced; another key gives other hashes.",
        secret=True,
    )
    time_columns: Literal["text", "time"] = setting(
        "text",
        "Time columns",
        "Type of the columns that hold a time of day: `text`, which every target loads, or "
        "`time`, the JSON format, for targets that have such a type.",
    )
    parquet_numbers: str | None = setting(
        None,
        "Numbers in Parquet",
        "Type of the numbers in Parquet files of BATCH messages: `decimal(38,10)`, with other "
        "figures where you need them, or `text`. Default: `decimal(38,10)`. A stream with a value "
        "that does not fit writes no file and fails.",
        form=forms.PARQUET_NUMBER,
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
        "Longest pause in seconds between two polls of an export. Default: per API.",
        above=0,
    )
    export_timeout_minutes: float = setting(
        1440,
        "Export timeout",
        "Minutes to wait for an export; one that takes longer is resumed by the next run.",
        above=0,
    )
    request_timeout_seconds: float = setting(
        300,
        "Request timeout",
        "Longest time in seconds that one API request may take, its whole answer included.",
        above=0,
    )
    requests_per_minute: int = setting(
        60,
        "Requests a minute",
        "How many requests a minute to send to the Data Connector at most. Autodesk allows an "
        "app 60, so N workers that share an app get 60/N each.",
        minimum=1,
        maximum=60,
    )
    heartbeat_seconds: float = setting(
        60,
        "Heartbeat",
        "Seconds between two log lines about progress while the run waits for exports; 0 for none.",
        minimum=0,
    )
    sandbox: bool = setting(
        False, "Sandbox", "Start the built-in sandbox on loopback and use it: no account is needed."
    )

    @classmethod
    def from_config(cls, config: Mapping[str, Any], known: Known = Known()) -> Self:  # noqa: B008
        """Read and check a Singer configuration.

        Args:
            config: Setting name -> value; null and the empty text are the default.
            known: What the caller knows beyond the settings, to check them against.

        Raises:
            WrongSettings: A sentence for each thing that is.
        """
        values, wrong = read_all(cls, config)
        settings = cls(**values)
        problems = [
            *rules.unknown_names(known, config, {f.name for f in dataclasses.fields(cls)}),
            *wrong.values(),
        ]
        for rule, names in _RULES:
            # A rule has nothing to say of a value that could not be read.
            if not wrong.keys() & {*names}:
                problems += rule(known, *(getattr(settings, name) for name in names))
        if problems:
            raise WrongSettings(problems)
        return settings

    def period(
        self,
        now: dt.datetime,
        bookmark: dt.datetime | None = None,
        lookback: dt.timedelta = dt.timedelta(0),
    ) -> tuple[dt.datetime, dt.datetime]:
        """Return start and end of the date range to export, both aware, in UTC.

        Args:
            now: The end, where no earlier end date is set: days to come hold nothing yet, and a
                bookmark must not pass them.
            bookmark: Up to where the data is loaded.
            lookback: How much before the bookmark is read again, but nothing before the start date.

        Raises:
            ConfigurationError: The start is not before the end.
        """
        end = min(self.end_date, now) if self.end_date else now
        start = self.start_date or end - dt.timedelta(days=DEFAULT_HISTORY_DAYS)
        if start >= end:
            what = f"'end_date' ({end:%Y-%m-%d})" if end == self.end_date else "the present"
            msg = (
                f"Setting 'start_date' ({start:%Y-%m-%d}) is not before {what}: give an earlier "
                "start or a later end."
            )
            raise ConfigurationError(msg)
        if bookmark:
            again = min(bookmark, now) - lookback
            start = max(start, again) if self.start_date else again
        return start, end


_RULES: tuple[tuple[Callable[..., Iterator[str]], tuple[str, ...]], ...] = (
    (rules.dates, ("start_date", "end_date")),
    (
        rules.accounts,
        (
            "data_connector_account_ids",
            "data_connector_project_ids",
            "data_connector_job_id",
            "sandbox",
        ),
    ),
    (rules.service_groups, ("data_connector_service_groups",)),
    (rules.own_exports, ("tokenflex_exports",)),
    (rules.hashing, ("hash_columns", "hash_key", "hash_personal_data")),
)
"""A rule, and the settings that it is about."""
