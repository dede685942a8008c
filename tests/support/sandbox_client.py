"""A plain HTTP client of the sandbox, for its own tests: no code of the tap is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests

if TYPE_CHECKING:
    from tap_autodesk_exports.sandbox import Sandbox

JOB_SECONDS = 10
BEGINNING = "2026-01-01T00:00:00Z"


class Client:
    """Asks a sandbox; time passes only by `sandbox.clock`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.token = sandbox.settings()["access_token"]
        self.account = f"/data-connector/v1/accounts/{sandbox.account_id}"

    def ask(self, method: str, path: str, **arguments: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}", **arguments.pop("headers", {})}
        url = self.sandbox.url + path
        return requests.request(method, url, headers=headers, timeout=30, **arguments)

    def get(self, path: str, **arguments: Any) -> Any:
        response = self.ask("GET", path, **arguments)
        assert response.status_code == 200, response.text
        return response.json()

    def admin(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """Ask one of the sandbox's own endpoints."""
        return self.ask(method, f"/sandbox{path}", **arguments)

    def wait(self, seconds: float = JOB_SECONDS) -> None:
        self.sandbox.clock.advance(seconds)

    def fetch(self, url: str, **headers: str) -> requests.Response:
        return requests.get(url, headers=headers, timeout=30)

    def insights(self, headers: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
        """Ask for an Insights export and wait for its end."""
        posted = self.ask("POST", "/insights/v1/exports", json=body, headers=headers or {})
        assert posted.status_code == 200, posted.text
        assert posted.json()["status"] == "SUBMITTED"
        self.wait()
        return self.get(f"/insights/v1/exports/{posted.json()['id']}")

    def contract(self) -> str:
        active = [c for c in self.get("/tokenflex/v1/contract") if c["isActive"]]
        return active[0]["contractNumber"]

    def tokenflex(self, number: str, **body: Any) -> str:
        """Ask for a Token Flex export; return its path."""
        path = f"/tokenflex/v1/export/{number}/requests"
        posted = self.ask("POST", path, json=body)
        assert posted.status_code == 200, posted.text
        return f"{path}/{quote(posted.json()['requestKey'], safe='')}"

    def request(self, *groups: str, **body: Any) -> requests.Response:
        """Ask for a Data Connector extract."""
        asked = {"serviceGroups": list(groups), "effectiveFrom": BEGINNING, **body}
        return self.ask("POST", f"{self.account}/requests", json=asked)

    def extract(self, *groups: str, **body: Any) -> str:
        """Ask for an extract and wait for its job; return the job's path."""
        posted = self.request(*groups, **body)
        assert posted.status_code == 201, posted.text
        self.wait()
        jobs = self.get(f"{self.account}/requests/{posted.json()['id']}/jobs")["results"]
        return f"{self.account}/jobs/{jobs[-1]['id']}"

    def file(self, job: str, name: str) -> bytes:
        """Download a file of an extract."""
        link = self.get(f"{job}/data/{name}")
        response = self.fetch(link["signedUrl"])
        assert response.status_code == 200
        assert len(response.content) == link["size"]
        return response.content
