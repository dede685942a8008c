"""Which credentials sign in to which API: read from the settings, checked, nothing sent."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from tap_autodesk_exports.apis import EXCLUDED, TITLES, Api, Flow
from tap_autodesk_exports.errors import ConfigurationError
from tap_autodesk_exports.signin.errors import SignInError
from tap_autodesk_exports.signin.store import TokenStore, default_location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_autodesk_exports.settings import Settings

NEEDED = {
    Flow.CLIENT_CREDENTIALS: ("client_id", "client_secret"),
    Flow.REFRESH_TOKEN: ("client_id",),
    Flow.SERVICE_ACCOUNT: (
        "client_id",
        "client_secret",
        "service_account_id",
        "service_account_key_id",
        "service_account_private_key",
    ),
    Flow.ACCESS_TOKEN: ("access_token",),
}
MARKS = {
    "access_token": Flow.ACCESS_TOKEN,
    "service_account_id": Flow.SERVICE_ACCOUNT,
    "service_account_key_id": Flow.SERVICE_ACCOUNT,
    "service_account_private_key": Flow.SERVICE_ACCOUNT,
    "refresh_token": Flow.REFRESH_TOKEN,
    "personal_access_token": Flow.CLIENT_CREDENTIALS,
}
"""Setting -> the one flow that it can be meant for."""


@dataclasses.dataclass(frozen=True)
class Credentials:
    """Complete credentials of one flow; what the flow does not use is None."""

    flow: Flow
    client_id: str | None = None
    client_secret: str | None = dataclasses.field(default=None, repr=False)
    refresh_token: str | None = dataclasses.field(default=None, repr=False)
    service_account_id: str | None = None
    service_account_key_id: str | None = None
    service_account_private_key: str | None = dataclasses.field(default=None, repr=False)
    personal_access_token: str | None = dataclasses.field(default=None, repr=False)
    access_token: str | None = dataclasses.field(default=None, repr=False)

    def secrets(self) -> list[str]:
        """Return the values that no log may show."""
        values = (
            self.client_secret,
            self.refresh_token,
            self.service_account_private_key,
            self.personal_access_token,
            self.access_token,
        )
        return [value for value in values if value]

    def chain(self, api_url: str) -> str:
        """Name the chain of refresh tokens that begins with these credentials.

        The name is a hash of the host, the app and the configured seed token: another seed is
        another chain, so that a new sign-in by hand wins over what was stored before.
        """
        origin = "\n".join((api_url, self.client_id or "", self.refresh_token or ""))
        return hashlib.sha256(origin.encode()).hexdigest()


def credentials_for(api: Api, settings: Settings) -> Credentials:
    """Return the credentials with which one API is used.

    An app with a secret can sign in two-legged and three-legged. Where no setting says which, a
    login that is in the token store decides.

    Raises:
        ConfigurationError: They are ambiguous or incomplete; the sentence names the settings.
        SignInError: A configured token store would have to be read, and cannot.
    """
    shared = {name: value for name in _FIELDS if (value := getattr(settings, name))}
    own = dict(settings.credentials.get(api, {}))
    given = own if "client_id" in own else {**shared, **own}
    where = f" in 'credentials.{api}'" if own else ""
    flow = (
        own.get("auth_flow")
        or _inferred(own, where)
        or shared.get("auth_flow")
        or _inferred(given, where)
    )
    is_said = own.get("auth_flow") or shared.get("auth_flow") or given.get("personal_access_token")
    if flow is Flow.CLIENT_CREDENTIALS and not is_said and _has_login(given, settings):
        flow = Flow.REFRESH_TOKEN
    if flow is None:
        msg = (
            f"No credentials for {TITLES[api]}{where}: set 'client_id', and 'client_secret' where "
            "the app has one, or 'access_token' for a trial. Without an Autodesk account, set "
            "'sandbox' to true."
        )
        raise ConfigurationError(msg)
    return _complete(Flow(flow), given, where)


def check_flow(api: Api, credentials: Credentials) -> None:
    """Refuse a flow that the API's documentation excludes.

    Raises:
        ConfigurationError: The flow cannot work; the sentence says which one does.
    """
    excluded = EXCLUDED.get((api, credentials.flow))
    if excluded and not (excluded.unless and getattr(credentials, excluded.unless)):
        raise ConfigurationError(excluded.reason)


_FIELDS = tuple(
    "auth_flow" if field.name == "flow" else field.name for field in dataclasses.fields(Credentials)
)


def _inferred(given: Mapping[str, str], where: str) -> Flow | None:
    """Return the one flow that the given settings can mean, or None where there are none."""
    marks = {name: flow for name, flow in MARKS.items() if given.get(name)}
    flows = sorted(set(marks.values()))
    if len(flows) > 1:
        names = ", ".join(f"'{name}'" for name in marks)
        msg = (
            f"The settings {names}{where} belong to different sign-in flows: set 'auth_flow' to "
            f"the one to use ({' or '.join(flows)}), or give one API separate credentials under "
            "'credentials'."
        )
        raise ConfigurationError(msg)
    if flows:
        return flows[0]
    if given.get("client_secret"):
        return Flow.CLIENT_CREDENTIALS
    return Flow.REFRESH_TOKEN if given.get("client_id") else None


def _has_login(given: Mapping[str, str], settings: Settings) -> bool:
    """Return whether somebody signed in to the app with `autodesk-exports login`."""
    credentials = Credentials(Flow.REFRESH_TOKEN, given.get("client_id"))
    if credentials.client_id is None:
        return False
    store = TokenStore(settings.token_store or default_location(credentials.client_id))
    try:
        return store.read(credentials.chain(settings.api_url)) is not None
    except SignInError:
        # Without a setting there need be no store: the flow may not want one.
        if settings.token_store is None:
            return False
        raise


def _complete(flow: Flow, given: Mapping[str, str], where: str) -> Credentials:
    """Take from `given` what the flow uses, and refuse where something is missing."""
    missing = [name for name in NEEDED[flow] if not given.get(name)]
    if missing:
        names = " and ".join(f"'{name}'" for name in missing)
        verb = "is" if len(missing) == 1 else "are"
        msg = f"'auth_flow' {flow} needs {names}, which {verb} not set{where}: set what is missing."
        raise ConfigurationError(msg)
    used = set(NEEDED[flow])
    if flow is Flow.REFRESH_TOKEN:
        used |= {"client_secret", "refresh_token"}
    if flow is Flow.ACCESS_TOKEN:
        used |= {"client_id", "client_secret"}
    if flow is Flow.CLIENT_CREDENTIALS:
        used.add("personal_access_token")
    taken = {name: given[name] for name in used if given.get(name)}
    if flow is Flow.SERVICE_ACCOUNT:
        taken["service_account_private_key"] = _pem(taken["service_account_private_key"])
    return Credentials(flow=flow, **taken)


def _pem(key: str) -> str:
    """Return PEM text, read from its file where a path was given."""
    if "-----BEGIN" in key:
        # An environment file often writes line ends as the two characters \ and n.
        return key.replace("\\n", "\n")
    try:
        text = Path(key).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        msg = (
            "Setting 'service_account_private_key' is neither PEM text nor the path of a readable "
            f"file ({type(error).__name__}): give one of the two."
        )
        raise ConfigurationError(msg) from None
    if "-----BEGIN" not in text:
        msg = (
            "The file that setting 'service_account_private_key' names holds no PEM text: give the "
            "private key that was downloaded when it was made."
        )
        raise ConfigurationError(msg)
    return text
