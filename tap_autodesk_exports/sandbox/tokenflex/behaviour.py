"""The switches of the Token Flex API."""

from __future__ import annotations

import dataclasses

from tap_autodesk_exports.sandbox.behaviour import Behaviour, one_of


@dataclasses.dataclass(eq=False)
class TokenFlexBehaviour(Behaviour):
    """The switches of the Token Flex API.

    Attributes:
        admin: Whether the user is one; other users have no contracts (documented).
        last_usage: What `usage/:contract/last` answers: as `documented`, an `empty` list, or its
            categories in another spelling: `legacy`, as the summary has them (documented there),
            `words` (Desktop product) or `lower`.
        last_usage_from: From this moment of the sandbox's clock (ISO 8601) `last_usage` holds;
            before it, the documented answer. Empty: always.
        new_category: A usage category that is not documented, with items of its own on every day;
            empty: there is none.
        new_category_from: The first day (ISO 8601) with such items. Empty: all days have them.
        swapped_products: Product line codes whose desktop items have the user's name in
            `machineName` and the machine's in `userName` (documented since 2021-12-01 for Arnold,
            RenderNode and VRED).
        date_times_only: Whether the list of requests answers 400 to a `fromDate` or `toDate` that
            is a date without a time (every documented example has a time).
        file_names: How answers spell the file name of an export: `as_given` with `.csv` at the end
            (documented), `twice` with that (inferred of a name that has it already), in `upper`
            case, or with `underscores` (neither is documented).
        kept_days: How long exports are kept (not documented); 0: for ever.
        listed_after: Seconds until a new export appears in the list.
    """

    admin: bool = True
    last_usage: str = one_of("documented", "empty", "legacy", "words", "lower")
    last_usage_from: str = ""
    new_category: str = ""
    new_category_from: str = ""
    swapped_products: list[str] = dataclasses.field(default_factory=list)
    date_times_only: bool = False
    file_names: str = one_of("as_given", "twice", "upper", "underscores")
    kept_days: float = 0.0
    listed_after: float = 0.0
