"""A real headless Chromium, driven over its DevTools pipe: no driver, no further package."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")


class Chromium:
    """One browser with one page.

    Args:
        folder: Where its profile goes.

    Attributes:
        events: What the page did, as DevTools tells it, once `watch` was called.
    """

    def __init__(self, folder: Path) -> None:
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        options = (
            "--headless=new",
            "--remote-debugging-pipe",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            f"--user-data-dir={folder}/profile",
            "about:blank",
        )
        start = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); "
        start += "os.execv(sys.argv[3], sys.argv[3:])"
        ends = (to_browser, from_browser)
        self._process = subprocess.Popen(
            [sys.executable, "-c", start, *map(str, ends), str(PROGRAM), *options],
            pass_fds=ends,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._numbers = itertools.count(1)
        self.events: list[dict[str, Any]] = []
        self._left = b""
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)

    def go(self, address: str) -> None:
        """Open an address."""
        self._ask("Page.navigate", session=self._session, url=address)

    def watch(self) -> None:
        """Note requests, console messages and errors of the page from now on."""
        for domain in ("Network", "Runtime", "Log", "Page"):
            self._ask(f"{domain}.enable", session=self._session)

    def show(self, width: int, height: int, scheme: str = "light", media: str = "") -> None:
        """Be a screen of this size with this colour scheme; or paper, with `media="print"`."""
        self._ask(
            "Emulation.setDeviceMetricsOverride",
            session=self._session,
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self._ask(
            "Emulation.setEmulatedMedia",
            session=self._session,
            media=media,
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def screenshot(self) -> bytes:
        """Return a PNG of the whole page."""
        taken = self._ask(
            "Page.captureScreenshot", session=self._session, captureBeyondViewport=True
        )
        return base64.b64decode(taken["data"])

    def run(self, script: str) -> Any:
        """Run JavaScript in the page and return its value."""
        answer = self._ask("Runtime.evaluate", session=self._session, expression=script)
        return answer["result"].get("value")

    def wait_for(self, script: str, seconds: float = 30) -> Any:
        """Run JavaScript until its value is true."""
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            if time.monotonic() > end:
                raise TimeoutError(f"{script}: {self.run('document.documentElement.outerHTML')}")
            time.sleep(0.05)
        return value

    def _ask(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == number:
                return dict(answer.get("result", {}))
            if "method" in answer:
                self.events.append(answer)

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            part = os.read(self._read, 1 << 16)
            if not part:
                raise ConnectionError("Chromium ended.")
            self._left += part
        text, _, self._left = self._left.partition(b"\0")
        return dict(json.loads(text))
