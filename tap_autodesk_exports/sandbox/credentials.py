"""The apps, the user and the secrets that the sandbox knows: all made up, all public.

| app | sign-in flows |
|---|---|
| `CLIENT_ID` (confidential) | client credentials, authorization code, refresh, service account |
| `PUBLIC_CLIENT_ID` (no secret) | authorization code with PKCE, refresh |
| `TWO_LEGGED_CLIENT_ID` (tied to a Token Flex admin) | client credentials only |

The private key of the service account is made when a sandbox starts:
`Authentication.private_key_pem`.
"""

from __future__ import annotations

CLIENT_ID = "SandboxConfidentialApp0000000001"
CLIENT_SECRET = "sandbox-client-secret-1"  # noqa: S105
PUBLIC_CLIENT_ID = "SandboxPublicApp0000000000000002"
TWO_LEGGED_CLIENT_ID = "SandboxTokenFlexApp0000000000003"
TWO_LEGGED_CLIENT_SECRET = "sandbox-client-secret-3"  # noqa: S105

REFRESH_TOKEN = "SandboxSeedRefreshTokenOfTheConfidentialApp"  # noqa: S105
"""Seed of `CLIENT_ID`: good for one use within 15 days of the sandbox's start."""
PUBLIC_REFRESH_TOKEN = "SandboxSeedRefreshTokenOfThePublicApp"  # noqa: S105
"""Seed of `PUBLIC_CLIENT_ID`: the same."""
ACCESS_TOKEN = "SandboxReadyThreeLeggedAccessToken"  # noqa: S105
"""A ready three-legged token of `CLIENT_ID`: good for an hour from the sandbox's start."""
PERSONAL_ACCESS_TOKEN = "SandboxPersonalAccessToken"  # noqa: S105
"""Bound to `CLIENT_ID` and the user."""

SERVICE_ACCOUNT_ID = "SANDBOXROBOT1"
SERVICE_ACCOUNT_KEY_ID = "5b7a8f0e-0000-4000-8000-000000000001"

USER_ID = "SANDBOXUSER1"
USER_EMAIL = "admin@sandbox.example"
