"""PayPal's settings: who we are there, whence its certificates come, and what a dollar costs."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FilePath
from pydantic_settings import NoDecode

from domain.money import Rate
from mobinet.settings.kinds import Address, Secret

# What the sandbox expects of those who call it; its authority is known to everybody, and signs for nobody else.
SANDBOX: Mapping[str, str] = {
    "client_id": "sandbox-paypal-client",
    "client_secret": "sandbox-paypal-secret",
    "webhook_id": "SANDBOX-WEBHOOK",
}
_AUTHORITY = Path(__file__).with_name("sandbox_paypal_ca.pem")


def in_development(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what only a development machine need not be told; its rate is of today."""
    today = datetime.now(UTC).date()
    local = {
        "cert_host": urlsplit(str(given["url"])).netloc,
        "ca": str(_AUTHORITY),
        "usd_rate": f"26000@{today}",
    }
    return local | dict(given)


def _rate(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"([1-9]\d{3,5})@(\d{4}-\d\d-\d\d)", value, re.ASCII)
    try:
        assert found
        return Rate(dong=int(found[1]), day=date.fromisoformat(found[2]))
    except (AssertionError, ValueError):
        raise ValueError(
            "is not a rate with its date: set đồng for a dollar and the day, such as 26000@2025-07-29"
        ) from None


class PayPal(BaseModel):
    """`cert_host` is the host of the certificates that sign its calls, or the domain that it is in."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    url: Address
    client_id: Secret
    client_secret: Secret
    webhook_id: str
    cert_host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{3,200}(:\d{1,5})?$")]
    ca: FilePath | None = None
    """Who vouches for the certificates; None: the public authorities."""
    usd_rate: Annotated[Rate, BeforeValidator(_rate), NoDecode]
    shared: bool = False
    """Whether other programs use the account too."""
