"""What the tests put around the tap: a process to run it in, and a PostgreSQL to load into."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import subprocess
import sys
import urllib.parse
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from tap_autodesk_exports.sandbox.server import RUNNING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent

SHORTEST_SECRET = 20
PIECE = 8
"""Characters of a secret that are looked up at once; less than half of the shortest secret."""

Key = tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class TapRun:
    """What one run of the tap said: its Singer messages, its log and its exit code."""

    messages: list[dict[str, Any]]
    stderr: str
    code: int

    def of_type(self, kind: str, stream: str | None = None) -> list[dict[str, Any]]:
        """Return the messages of a type, of one stream where it is named."""
        if stream is not None:
            return self._sorted.get((kind, stream), [])
        return [message for message in self.messages if message["type"] == kind]

    @functools.cached_property
    def _sorted(self) -> dict[tuple[str, str | None], list[dict[str, Any]]]:
        found: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
        for message in self.messages:
            found.setdefault((message["type"], message.get("stream")), []).append(message)
        return found

    def records(self, stream: str) -> list[dict[str, Any]]:
        """Return the stream's records in the order in which they came."""
        return [message["record"] for message in self.of_type("RECORD", stream)]

    def table(self, stream: str) -> dict[Key, dict[str, Any]]:
        """Return the stream's records upserted by the key that its SCHEMA names, as targets do."""
        key = self.of_type("SCHEMA", stream)[-1]["key_properties"]
        return {tuple(row[name] for name in key): row for row in self.records(stream)}

    @property
    def streams(self) -> list[str]:
        """The streams that sent a SCHEMA, in order."""
        return list(dict.fromkeys(message["stream"] for message in self.of_type("SCHEMA")))

    @property
    def state(self) -> dict[str, Any]:
        """The last STATE, or an empty one."""
        states = self.of_type("STATE")
        return states[-1]["value"] if states else {}


def run_tap(
    folder: Path,
    config: Mapping[str, Any],
    *arguments: str,
    state: Mapping[str, Any] | None = None,
    catalog: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
) -> TapRun:
    """Run the installed tap as its own process, as a runner does, and wait for its end.

    Numbers are read as decimals, so that every digit can be compared. Nothing that the tap says may
    hold a secret of the sandbox.
    """
    command = [str(BIN / "tap-autodesk-exports")]
    for name, content in {"config": config, "state": state, "catalog": catalog}.items():
        if content is not None:
            path = folder / f"{name}.json"
            path.write_text(json.dumps(content), encoding="utf-8")
            command += [f"--{name}", str(path)]
    done = subprocess.run(
        [*command, *arguments],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env={**clean_environment(), **(env or {})},
    )
    assert_no_secret(str(config.get("api_url")), done.stdout, done.stderr, *done.args)
    lines = [line for line in done.stdout.split("\n") if line]
    messages = [json.loads(line, parse_float=Decimal) for line in lines]
    return TapRun(messages, done.stderr, done.returncode)


def assert_no_secret(api_url: str, *texts: str) -> None:
    """Check that no secret that the sandbox at `api_url` handed out is in what the tap said."""
    sandbox = RUNNING.get(api_url)
    secrets = sandbox.secrets() if sandbox is not None else []
    found = [secret for text in texts for secret in secrets_in(text, secrets)]
    assert not found, f"{len(found)} secrets were told, such as one that begins {found[0][:8]}"


def secrets_in(text: str, secrets: Iterable[str]) -> list[str]:
    """Return the secrets that are in a text, in one pass over it however many there are.

    Of a signed link's query each long value is looked for.

    A secret of `n` characters that is anywhere in the text covers at least one of the places
    0, k, 2k, … with `PIECE` characters of its own, where k is `n - PIECE + 1`; so only the pieces
    at those places are looked up, and what they suggest is searched for.
    """
    long, short = [], []
    for part in {part for whole in secrets for part in _telling_parts(whole) or [whole]}:
        (long if len(part) >= SHORTEST_SECRET else short).append(part)
    suspects: dict[str, set[str]] = {}
    for secret in long:
        for at in range(len(secret) - PIECE + 1):
            suspects.setdefault(secret[at : at + PIECE], set()).add(secret)
    pieces = {text[at : at + PIECE] for at in range(0, len(text), SHORTEST_SECRET - PIECE + 1)}
    suspected = {secret for piece in pieces & suspects.keys() for secret in suspects[piece]}
    return [secret for secret in (*short, *suspected) if secret in text]


def _telling_parts(secret: str) -> list[str]:
    """Return the long values of a signed link's query: each is secret, so one alone is a find."""
    values = [part.partition("=")[2] for part in secret.split("&")]
    written = [value for value in values if len(value) >= SHORTEST_SECRET]
    # As they are written, and as they read where they are escaped.
    return [*written, *(urllib.parse.unquote_plus(value) for value in written)]


def clean_environment() -> dict[str, str]:
    """Return the environment without settings of the tap, of targets and of Meltano."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TAP_", "TARGET_", "MELTANO_"))
    }


@dataclasses.dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL that listens on a unix socket in `folder`."""

    folder: Path

    @property
    def sqlalchemy_url(self) -> str:
        """What target-postgres takes."""
        return f"postgresql+psycopg://postgres@/postgres?host={self.folder}"

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection."""
        return psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres")
