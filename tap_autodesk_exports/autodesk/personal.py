"""Which columns hold personal data, by their names: what `hash_personal_data` hashes.

The rules were made from the published names of all tables and from a real extract, in which
`created_by` and the like hold Autodesk IDs. They hold for columns that a catalog does not know, in
any spelling. Free text, such as a comment, is not looked into.
"""

from __future__ import annotations

import re

NAMES = frozenset(
    {
        "assigned_to",
        "assignee",
        "assignee_id",
        "assignee_type_id",
        "author",
        "autodesk_id",
        "ball_in_court",
        "ball_in_court_users",
        "contact_id",
        "creator_id",
        "current_assigned_users",
        "email",
        "email_address",
        "first_name",
        "full_name",
        "human_readable_name",
        "ip_address",
        "last_name",
        "last_submitter_signature",
        "machine_name",
        "manager",
        "manager_id",
        "mobile",
        "next_action_candidates_users",
        "object_assigned_to",
        "object_owner",
        "object_recipient",
        "object_reviewer_id",
        "object_reviewer_name",
        "object_observer_name",
        "object_watchers",
        "owner_id",
        "oxygen_id",
        "participant_id",
        "phone",
        "phone_number",
        "reviewed_users",
        "reviewer",
        "signed_name",
        "subcontractor",
        "target_assigned_to_display_name",
        "target_assigned_to_id",
        "updater_id",
        "user_id",
        "user_name",
    }
)
"""In snake_case. Columns that refer to people are among them: one hash is the same in every table,
so that tables can still be joined."""
ENDINGS = (
    "_autodesk_id",
    "_by",
    "_by_email",
    "_by_id",
    "_by_name",
    "_email",
    "_email_address",
    "_first_name",
    "_human_readable_name",
    "_last_name",
    "_oxygen_id",
    "_phone",
    "_user_id",
    "_user_name",
)
OTHERS = frozenset({"company_oxygen_id", "role_oxygen_id", "group_by", "order_by", "sort_by"})
"""Names that end so and are of companies, roles or settings."""
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^0-9A-Za-z]+")


def is_personal(column: str) -> bool:
    """Tell whether a column holds personal data, whatever the spelling of its name.

    Args:
        column: `user_name`, `userName`, `User name`; of a repeated one, `email#2`.
    """
    name = "_".join(word for word in _WORDS.split(column.partition("#")[0]) if word).lower()
    return name not in OTHERS and (name in NAMES or name.endswith(ENDINGS))
