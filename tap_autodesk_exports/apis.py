"""The three Autodesk APIs: their names, their scopes, and the ways to sign in to each."""

from __future__ import annotations

import dataclasses
from enum import StrEnum


class Api(StrEnum):
    """The three Autodesk APIs that this tap reads."""

    INSIGHTS = "insights"
    TOKENFLEX = "tokenflex"
    DATA_CONNECTOR = "data_connector"


class Flow(StrEnum):
    """The ways to a bearer token."""

    CLIENT_CREDENTIALS = "client_credentials"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105
    SERVICE_ACCOUNT = "service_account"
    ACCESS_TOKEN = "access_token"  # noqa: S105


TITLES = {
    Api.INSIGHTS: "Insights",
    Api.TOKENFLEX: "Token Flex",
    Api.DATA_CONNECTOR: "Data Connector",
}
SCOPES = {
    Api.INSIGHTS: ("data:read", "data:write"),
    Api.TOKENFLEX: ("data:read", "data:write"),
    Api.DATA_CONNECTOR: ("data:create", "data:read", "data:write"),
}
"""Documented: reading is `data:read`; requesting an export is `data:write` (`data:create`)."""


@dataclasses.dataclass(frozen=True)
class Exclusion:
    """A flow that the documentation of an API excludes.

    Attributes:
        reason: Sentences: why it cannot work, and what does.
        unless: The setting with which it works all the same.
    """

    reason: str
    unless: str | None = None


EXCLUDED = {
    (Api.DATA_CONNECTOR, Flow.CLIENT_CREDENTIALS): Exclusion(
        "Data Connector cannot be used with 'auth_flow' client_credentials: it needs a user's "
        "token. Set 'auth_flow' to refresh_token and sign in with `autodesk-exports login`, or "
        "use service_account; for Data Connector alone, under 'credentials.data_connector'."
    ),
    (Api.INSIGHTS, Flow.CLIENT_CREDENTIALS): Exclusion(
        "Insights cannot be used with 'auth_flow' client_credentials alone: set "
        "'personal_access_token' to a token that a team admin made for this app, or set "
        "'auth_flow' to refresh_token and sign in with `autodesk-exports login`.",
        unless="personal_access_token",
    ),
}
"""Documented: Data Connector needs a user's token; Insights a personal access token as well."""
