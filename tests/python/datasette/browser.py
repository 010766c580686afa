"""A headless Chromium, driven over a pipe: https://chromedevtools.github.io/devtools-protocol/."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")

#: Becomes Chromium, which reads from descriptor 3 and writes to 4.
LAUNCHER = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 50) for end in sys.argv[1:3]]
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""


def find() -> str | None:
    """Where Chromium is, if it is anywhere."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Browser:
    """One page of a Chromium of its own."""

    def __init__(self, program: str, folder: Path) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        command = [
            program,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--remote-debugging-pipe",
            f"--user-data-dir={folder}",
            "--window-size=1000,800",
            "about:blank",
        ]
        launcher = [sys.executable, "-c", LAUNCHER, str(to_read), str(to_write), *command]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(launcher, pass_fds=(to_read, to_write), **quiet)
        os.close(to_read)
        os.close(to_write)
        self._pending = b""
        self._sent = 0
        self._session: str | None = None
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]
        self.call("Page.enable")

    def close(self) -> None:
        os.close(self._write)
        os.close(self._read)
        self._process.terminate()
        self._process.wait()

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._pending:
            piece = os.read(self._read, 1 << 16)
            if not piece:
                raise EOFError("Chromium has ended")
            self._pending += piece
        message, _, self._pending = self._pending.partition(b"\0")
        return json.loads(message)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._call(method, params, until=None)

    def _call(self, method: str, params: dict[str, Any], until: str | None) -> dict[str, Any]:
        """Calls a method; waits for its answer and, if named, for an event after it."""
        self._sent += 1
        message: dict[str, Any] = {"id": self._sent, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        answer = None
        while answer is None or until is not None:
            received = self._receive()
            if received.get("id") == self._sent:
                if "error" in received:
                    raise RuntimeError(received["error"]["message"])
                answer = received["result"]
            elif received.get("method") == until:
                until = None
        return answer

    def go(self, address: str) -> None:
        self._call("Page.navigate", {"url": address}, until="Page.loadEventFired")

    def script(self, source: str) -> Any:
        found = self.call("Runtime.evaluate", expression=source, returnByValue=True)
        return found["result"].get("value")

    def click(self, selector: str) -> None:
        """Clicks what leads to another page, and waits for that page."""
        source = f"document.querySelector({json.dumps(selector)}).click()"
        self._call("Runtime.evaluate", {"expression": source}, until="Page.loadEventFired")

    def text(self) -> str:
        return self.script("document.body.innerText")

    def picture(self, file: Path) -> None:
        sizes = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": sizes["width"], "height": sizes["height"], "scale": 1}
        shot = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))
