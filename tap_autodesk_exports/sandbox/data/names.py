"""Today's names of what has a lasting identity: teams, products, groups."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tap_autodesk_exports.sandbox.behaviour import Behaviour

if TYPE_CHECKING:
    from tap_autodesk_exports.sandbox.data.tokens import Item
    from tap_autodesk_exports.sandbox.data.world import Team


@dataclasses.dataclass(eq=False)
class Names(Behaviour):
    """What was renamed; files that are written from then on show the new names.

    Renaming is an ordinary action of admins (documented for teams); what is renamed stays the same
    team, product or group: `contextId`, `productLineCode` and `groupId` do not change.

    Attributes:
        teams: Team ID -> its alias now.
        offerings: Offering as it was named at first -> its name now (Insights).
        products: Product as it was named at first -> its name now (Insights, Token Flex).
        groups: Group as it was named at first -> its name now (Insights; in Token Flex, the second
            custom field).
    """

    teams: dict[str, str] = dataclasses.field(default_factory=dict)
    offerings: dict[str, str] = dataclasses.field(default_factory=dict)
    products: dict[str, str] = dataclasses.field(default_factory=dict)
    groups: dict[str, str] = dataclasses.field(default_factory=dict)

    def team(self, team: Team) -> str:
        """Return a team's alias."""
        return self.teams.get(team.id, team.alias)

    def offering(self, name: str) -> str:
        """Return an offering's name."""
        return self.offerings.get(name, name)

    def product(self, name: str) -> str:
        """Return a product's name."""
        return self.products.get(name, name)

    def group(self, name: str) -> str:
        """Return a group's name."""
        return self.groups.get(name, name)

    def item(self, item: Item) -> Item:
        """Return a charged item of Token Flex under today's names."""
        if not self.products and not self.groups:
            return item
        renamed: Item = {"productName": self.product(str(item["productName"]))}
        if "customField2" in item:
            renamed["customField2"] = self.group(str(item["customField2"]))
        return {**item, **renamed}
