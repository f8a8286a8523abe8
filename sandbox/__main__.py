"""`python -m sandbox`: serves every outer system until it is told to stop."""

from __future__ import annotations

import uvicorn

from sandbox.app import build
from sandbox.settings import Settings


def main() -> None:
    settings = Settings()
    uvicorn.run(
        build(settings),
        host=settings.host,
        port=settings.sandbox_port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main()
