"""What the tests put around the tap: a process to run it in, and a PostgreSQL to load into."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import urllib.parse
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import requests

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

SHORTEST_SECRET = 20

Key = tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class TapRun:
    """What one run of the tap said: its Singer messages, its log and its exit code."""

    messages: list[dict[str, Any]]
    stderr: str
    code: int

    def of_type(self, kind: str, stream: str | None = None) -> list[dict[str, Any]]:
        """Return the messages of a type, of one stream where it is named."""
        return [
            message
            for message in self.messages
            if message["type"] == kind and stream in {None, message.get("stream")}
        ]

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
    try:
        answer = requests.get(f"{api_url}/sandbox/secrets", timeout=10)
    except requests.RequestException:  # no sandbox, or one that is gone by now
        return
    secrets = set(answer.json() if answer.ok else ())
    # A signed link's query as a whole would not be found where only its signature is told.
    secrets |= {
        value
        for secret in secrets
        for values in urllib.parse.parse_qs(secret).values()
        for value in values
        if len(value) >= SHORTEST_SECRET
    }
    found = [secret for secret in secrets for text in texts if secret in text]
    assert not found, f"{len(found)} secrets were told, such as one that begins {found[0][:8]}"


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
