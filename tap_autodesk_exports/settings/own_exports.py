"""An export of Token Flex that the settings define."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class TokenFlexExport:
    """An export that the user defined: becomes the stream `tokenflex_<name>`.

    Attributes:
        name: The second half of the stream's name.
        fields: Fields to group by, as Token Flex names them; they become columns.
        metrics: Measures of each group; they become columns.
        usage_category: Only usage of these categories.
        where: Condition in the SQL that Token Flex understands (documented).
        primary_keys: Columns that identify a row of a contract; None where `_row_id` does.
    """

    name: str
    fields: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    usage_category: tuple[str, ...] | None = None
    where: str | None = None
    primary_keys: tuple[str, ...] | None = None
