"""The apps, the user and the secrets of a sandbox: all made up.

| app | sign-in flows |
|---|---|
| `CLIENT_ID` (confidential) | client credentials, authorization code, refresh, service account |
| `PUBLIC_CLIENT_ID` (no secret) | authorization code with PKCE, refresh |
| `TWO_LEGGED_CLIENT_ID` (tied to a Token Flex admin) | client credentials only |

The IDs are the same in every sandbox. The secrets are random: each sandbox generates its own, so
that no other program on the machine can guess its way to the data. The private key of the service
account is generated as well: `Authentication.private_key_pem`.
"""

from __future__ import annotations

import dataclasses
import secrets

CLIENT_ID = "SandboxConfidentialApp0000000001"
PUBLIC_CLIENT_ID = "SandboxPublicApp0000000000000002"
TWO_LEGGED_CLIENT_ID = "SandboxTokenFlexApp0000000000003"

SERVICE_ACCOUNT_ID = "SANDBOXROBOT1"
SERVICE_ACCOUNT_KEY_ID = "5b7a8f0e-0000-4000-8000-000000000001"

USER_ID = "SANDBOXUSER1"
USER_EMAIL = "admin@sandbox.example"


@dataclasses.dataclass(frozen=True, repr=False)
class Secrets:
    """The secrets of one sandbox, random unless they are given.

    Attributes:
        client_secret: Secret of `CLIENT_ID`.
        two_legged_client_secret: Secret of `TWO_LEGGED_CLIENT_ID`.
        refresh_token: Seed of `CLIENT_ID`: valid for one use within 15 days of the sandbox's start.
        public_refresh_token: Seed of `PUBLIC_CLIENT_ID`: the same.
        access_token: A ready three-legged token of `CLIENT_ID`: valid for an hour from the
            sandbox's start. It also opens the admin endpoints, at any time.
        personal_access_token: Bound to `CLIENT_ID` and the user.
    """

    client_secret: str = dataclasses.field(default_factory=secrets.token_urlsafe)
    two_legged_client_secret: str = dataclasses.field(default_factory=secrets.token_urlsafe)
    refresh_token: str = dataclasses.field(default_factory=secrets.token_urlsafe)
    public_refresh_token: str = dataclasses.field(default_factory=secrets.token_urlsafe)
    access_token: str = dataclasses.field(default_factory=secrets.token_urlsafe)
    personal_access_token: str = dataclasses.field(default_factory=secrets.token_urlsafe)

    def all(self) -> set[str]:
        """Return every one of them."""
        return set(dataclasses.astuple(self))
