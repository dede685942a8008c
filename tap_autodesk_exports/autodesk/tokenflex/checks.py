"""What the doctor tries of Token Flex."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_autodesk_exports.apis import Api, Flow
from tap_autodesk_exports.autodesk.answers import read_each
from tap_autodesk_exports.autodesk.findings import Finding, Verdict, failure
from tap_autodesk_exports.autodesk.tokenflex.client import Contract, TokenFlex
from tap_autodesk_exports.errors import TapError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_autodesk_exports.autodesk.http import ApiContext
    from tap_autodesk_exports.settings import Settings


def check(context: ApiContext, settings: Settings) -> Iterator[Finding]:
    """Try to list the contracts."""
    api, step = Api.TOKENFLEX, "contracts"
    if context.sign_in.credentials(api).flow is Flow.CLIENT_CREDENTIALS:
        cause = (
            "Autodesk has not tied this client to one of your admins, which two-legged use needs"
        )
        remedy = "ask your Customer Success Manager to tie it, or sign in as a contract manager"
    else:
        cause = (
            "role missing: the user is no contract manager, software coordinator or team admin; or "
            "the client is tied to an admin and must not be used three-legged"
        )
        remedy = (
            "let a contract manager sign in with `autodesk-exports login`; for a tied client set "
            "'credentials.tokenflex' with 'auth_flow' client_credentials"
        )
    try:
        answers = read_each(TokenFlex(context).contracts(), Contract.read)
    except TapError as error:
        yield failure(api, step, error, cause, remedy)
        return
    yield from (failure(api, step, unreadable) for unreadable in answers.unreadable)
    contracts = answers.items
    if not contracts and not answers.unreadable:
        yield Finding(api, step, Verdict.FAILS, "no contract", cause, remedy)
        return
    numbers = {contract.number for contract in contracts}
    active = sum(contract.is_active for contract in contracts)
    seen = f"{len(numbers)} contracts, {active} of them active"
    unknown = set(settings.tokenflex_contract_numbers or ()) - numbers
    if unknown:
        yield Finding(
            api,
            step,
            Verdict.FAILS,
            f"{seen}; not among them: {', '.join(sorted(unknown))}",
            "the number is wrong, or this user has no role in that contract",
            f"set 'tokenflex_contract_numbers' to some of {', '.join(sorted(numbers))}",
        )
    elif not active and not settings.tokenflex_contract_numbers:
        yield Finding(
            api,
            step,
            Verdict.NOTE,
            f"{seen}: nothing is loaded",
            "only active contracts are loaded where none is named",
            f"set 'tokenflex_contract_numbers' to some of {', '.join(sorted(numbers))}",
        )
    else:
        yield Finding(api, step, Verdict.WORKS, seen)
