"""The teams of the user: which of them are exported, and which one an alias belongs to."""

from __future__ import annotations

import collections
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tap_autodesk_exports.autodesk.answers import read_each
from tap_autodesk_exports.autodesk.chosen import Chosen, named
from tap_autodesk_exports.autodesk.insights.client import REPORTING, Team
from tap_autodesk_exports.errors import ConfigurationError

if TYPE_CHECKING:
    from tap_autodesk_exports.autodesk.insights.client import Insights
    from tap_autodesk_exports.settings import Settings

logger = logging.getLogger("tap-autodesk-exports")

ALL_TEAMS = ""
"""Stands for all teams of the user, in one export."""


class Teams:
    """The teams of the user, requested once in a run.

    Args:
        client: The endpoints.
        settings: The settings.
    """

    def __init__(self, client: Insights, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._entries: list[Any] | None = None
        self._unknown: set[str] = set()

    @property
    def entries(self) -> list[Any]:
        """The teams, with and without reporting access, as the API answers them."""
        if self._entries is None:
            self._entries = self._client.contexts()
        return self._entries

    def chosen(self) -> Chosen:
        """Return the teams to export.

        Raises:
            ConfigurationError: There is none.
        """
        teams = read_each(self.entries, Team.read)
        if wanted := self._settings.insights_team_ids:
            return named(wanted, self.entries, "contextId", _none_of_the_users)
        reporting = tuple(team.team_id for team in teams.items if team.is_reporting)
        if not reporting and not teams.unreadable:
            msg = (
                f"Insights: none of the {len(teams.items)} teams of this user has the benefit "
                f"'{REPORTING}', so there is nothing to export. Sign in as an admin of a team with "
                "a Business Success Plan, or leave 'insights' out of 'apis'."
            )
            raise ConfigurationError(msg)
        in_one = self._settings.insights_export_scope == "all_teams" and len(self.entries) > 1
        if in_one and self._aliases_are_clear():
            return Chosen((ALL_TEAMS,))
        return Chosen(reporting, teams.unreadable)

    def reporting(self) -> tuple[str, ...]:
        """Return the teams that an export of all teams has the rows of."""
        teams = read_each(self.entries, Team.read).items
        return tuple(team.team_id for team in teams if team.is_reporting)

    def _aliases_are_clear(self) -> bool:
        """Tell whether the alias in a row says which team the row belongs to."""
        aliases = collections.Counter(_alias(entry) for entry in self.entries)
        unclear = sorted(alias for alias, times in aliases.items() if times > 1)
        if unclear or "" in aliases:
            logger.warning(
                "Insights: %s, so one export of all teams cannot tell them apart: each team is "
                "exported by itself, as with 'insights_export_scope: per_team'.",
                f"several teams have the alias {self._named(unclear)}"
                if unclear
                else "a team has no alias",
            )
            return False
        return True

    def ids(self, aliases: set[str]) -> dict[str, str]:
        """Return the IDs of teams by their aliases.

        A team may have been renamed since the teams were requested: where an alias is not known,
        they are requested again, once.
        """
        if (aliases - self._unknown) - self._by_alias().keys():
            self._entries = self._client.contexts()
        known = self._by_alias()
        if unknown := sorted(aliases - known.keys() - self._unknown):
            self._unknown.update(unknown)
            logger.warning(
                "Insights: no team of this user has the alias %s, so the rows of it are loaded "
                "without a 'team_id'.",
                self._named(unknown),
            )
        return {alias: known[alias] for alias in aliases if alias in known}

    def _named(self, aliases: list[str]) -> str:
        """Return aliases as they can be shown: what a cell holds may be a hashed value."""
        if self._settings.hash_columns or self._settings.hash_personal_data:
            return f"of {len(aliases)} that are not shown, because columns are hashed"
        return ", ".join(f"'{alias}'" if alias else "(none)" for alias in aliases)

    def _by_alias(self) -> dict[str, str]:
        teams = {
            alias: str(entry["contextId"])
            for entry in self.entries
            if (alias := _alias(entry)) and entry.get("contextId")
        }
        # Where a new name made two of them alike, neither is taken for the other.
        times = collections.Counter(_alias(entry) for entry in self.entries)
        return {alias: team_id for alias, team_id in teams.items() if times[alias] == 1}


def _none_of_the_users(team_id: str, seen: str) -> str:
    return (
        f"Insights: team {team_id} of 'insights_team_ids' is none of this user's, which "
        f"are: {seen}. Correct it, or sign in as an admin of that team."
    )


def _alias(entry: Any) -> str:  # noqa: ANN401
    return str(entry.get("alias") or "").strip() if isinstance(entry, Mapping) else ""
