"""The embedded Valkey: a socket, no port, and nothing on disk, since its data may be lost."""

from __future__ import annotations

import signal
import socket

from integrations.embedded.server import Server


class Valkey(Server):
    name = "Valkey"
    stop_signal = signal.SIGTERM

    @property
    def url(self) -> str:
        return f"unix://{self.sockets / 'valkey.sock'}"

    def command(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self.sockets / "valkey.sock"),
            "unixsocketperm": "700",
            "pidfile": "valkey.pid",
            "save": "",
            "appendonly": "no",
            "databases": "64",
        }
        return [
            str(self.program),
            *(part for name, value in settings.items() for part in (f"--{name}", value)),
        ]

    def is_ready(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(str(self.sockets / "valkey.sock"))
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    def last_pid(self) -> int | None:
        try:
            return int((self.folder / "valkey.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None
