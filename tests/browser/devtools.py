"""Chromium over its DevTools protocol: open a page, read its DOM, take its picture. No driver but aiohttp."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

START_WITHIN_S: Final = 30.0
CALL_WITHIN_S: Final = 20.0
PORT_FILE: Final = "DevToolsActivePort"

FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
    # Nothing but loopback has a name, so a page that wants more fails the same on every machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


class Page:
    """One tab.

    Attributes:
        faults: uncaught exceptions and console errors, in the page's own words.
        asked: addresses that the page asked for.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.faults: list[str] = []
        self.asked: list[str] = []
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._session: str | None = None
        self._loaded = asyncio.Event()

    async def attach(self) -> None:
        """Make the tab and watch it."""
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            await self.call(f"{domain}.enable")

    async def call(self, method: str, **params: object) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        session = {} if self._session is None else {"sessionId": self._session}
        await self._socket.send_json({"id": number, "method": method, "params": params, **session})
        async with asyncio.timeout(CALL_WITHIN_S):
            return await answer

    async def listen(self) -> None:
        """Take what the browser says until it closes the connection."""
        async for message in self._socket:
            said = message.json()
            if "id" in said:
                self._answered(said)
            else:
                self._happened(said["method"], said["params"])

    def _answered(self, said: dict[str, Any]) -> None:
        answer = self._answers.pop(said["id"])
        if answer.done():
            return
        if "error" in said:
            answer.set_exception(RuntimeError(str(said["error"])))
        else:
            answer.set_result(said["result"])

    def _happened(self, method: str, params: dict[str, Any]) -> None:
        match method:
            case "Page.loadEventFired":
                self._loaded.set()
            case "Network.requestWillBeSent":
                self.asked.append(params["request"]["url"])
            case "Runtime.exceptionThrown":
                self.faults.append(str(params["exceptionDetails"].get("exception", params)))
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                self.faults.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    async def open(self, url: str, *, width: int = 1920, height: int = 1080) -> None:
        """Load an address at a size of the screen, until its load event."""
        await self.resize(width, height)
        self._loaded.clear()
        await self.call("Page.navigate", url=url)
        async with asyncio.timeout(CALL_WITHIN_S):
            await self._loaded.wait()

    async def resize(self, width: int, height: int) -> None:
        """Change the size of the screen, in CSS pixels."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; promises are awaited."""
        said = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in said:
            raise RuntimeError(str(said["exceptionDetails"]))
        return said["result"].get("value")

    async def picture(self, path: Path) -> None:
        """Save a picture of what is shown."""
        shot = await self.call("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(shot["data"]))


@contextlib.asynccontextmanager
async def chromium(folder: Path) -> AsyncIterator[Page]:
    """Run a headless Chromium with an empty profile in `folder`, and yield a tab of it."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("chromium is missing; run: make tools")
    profile = folder / "profile"
    profile.mkdir(parents=True)
    process = await asyncio.create_subprocess_exec(
        program, *FLAGS, f"--user-data-dir={profile}", "about:blank",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        address = await _address(process, profile / PORT_FILE)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(address, max_msg_size=0) as socket,
        ):
            page = Page(socket)
            listening = asyncio.create_task(page.listen())
            try:
                await page.attach()
                yield page
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
    finally:
        await _end(process)


async def _address(process: asyncio.subprocess.Process, file: Path) -> str:
    """Wait until the browser has written where it listens."""
    async with asyncio.timeout(START_WITHIN_S):
        while process.returncode is None:
            lines = await asyncio.to_thread(_lines, file)
            if len(lines) == 2:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            await asyncio.sleep(0.05)
    pytest.fail(f"chromium ended with code {process.returncode}")


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
    await process.wait()
