"""The embedded PostgreSQL: one cluster in a folder, one database, a socket and no port."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

from integrations.embedded.binaries import EmbeddedError
from integrations.embedded.server import Server

_DATABASE = "mobinet"
_INIT = (
    "--username=postgres",
    "--auth=trust",  # the socket's folder is private
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
    "--no-sync",  # the checkpoint of the first stop writes everything
)
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "synchronous_commit": "on",
    "shared_preload_libraries": "pg_stat_statements",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Postgres(Server):
    name = "PostgreSQL"
    stop_signal = signal.SIGINT

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/{_DATABASE}?host={self.sockets}"

    def start(self) -> None:
        if not self.folder.exists():
            self._make_cluster()
        super().start()

    def command(self) -> list[str]:
        settings = {**_SETTINGS, "unix_socket_directories": str(self.sockets)}
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [str(self.program / "postgres"), "-D", self.folder_argument(), *options]

    def is_ready(self) -> bool:
        """Read the last line of the pid file, as pg_ctl does: no connection is needed."""
        lines = self._pid_file()
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def last_pid(self) -> int | None:
        lines = self._pid_file()
        return abs(int(lines[0])) if lines else None

    def _pid_file(self) -> list[str]:
        try:
            return (self.folder / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _make_cluster(self) -> None:
        """Make it under another name, so that a killed process leaves no incomplete one."""
        final, self.folder = self.folder, self.folder.with_name(f"{self.folder.name}.new")
        shutil.rmtree(self.folder, ignore_errors=True)
        self._make_folder(self.folder)
        self._run([str(self.program / "initdb"), "-D", self.folder_argument(), *_INIT])
        single = [
            str(self.program / "postgres"),
            "--single",
            "-D",
            self.folder_argument(),
            "postgres",
        ]
        self._run(single, f"CREATE DATABASE {_DATABASE};\n")
        self.folder = self.folder.rename(final)

    def _run(self, command: list[str], text: str = "") -> None:
        process = self.spawn(command, stdin=subprocess.PIPE)
        process.communicate(text)
        if process.returncode != 0:
            raise EmbeddedError(f"{Path(command[0]).name} failed: see {self.log}.")
