"""`python -m sandbox`: serve every outer system until SIGTERM or Ctrl-C."""

from __future__ import annotations

import sys

import uvicorn
from pydantic import ValidationError

from sandbox.app import build
from sandbox.settings import Settings


def main() -> None:
    try:
        settings = Settings()
    except ValidationError as error:
        sys.exit("\n".join(_describe(error)))
    uvicorn.run(
        build(settings),
        host=settings.host,
        port=settings.sandbox_port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=3,
    )


def _describe(error: ValidationError) -> list[str]:
    """Return one line for each invalid setting, without its value."""
    return [
        f"MOBINET_{'__'.join(map(str, each['loc'])).upper()} is wrong: {each['msg'].lower()}."
        for each in error.errors(include_url=False, include_input=False)
    ]


if __name__ == "__main__":
    main()
