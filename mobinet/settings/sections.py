"""The settings of each outer system: its address, and the credentials on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, FilePath, model_validator

from mobinet.settings.value_types import Address, Bin, DollarRate, Secret, Secrets

# The sandbox's certificate authority. Its key is public, so only the sandbox may trust it.
_SANDBOX_AUTHORITY = Path(__file__).with_name("sandbox_paypal_ca.pem")


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class InternalSystem(Section):
    """A system of the company, which knows us by an API key or a client certificate."""

    url: Address
    api_key: Secret | None = None
    client_cert: FilePath | None = None
    client_key: FilePath | None = None
    ca: FilePath | None = None

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        if (self.client_cert is None) != (self.client_key is None):
            raise ValueError(
                "has half a certificate: set __CLIENT_CERT and __CLIENT_KEY, or neither"
            )
        if self.api_key is None and self.client_cert is None:
            raise ValueError("has no credentials: set __API_KEY, or __CLIENT_CERT and __CLIENT_KEY")
        return self


class FptPay(Section):
    url: Address
    secret: Annotated[Secrets, Field(min_length=1, max_length=2)]
    """The first authenticates our calls; both verify webhooks while the secret changes."""


class Vnpay(Section):
    url: Address
    tmn_code: str
    hash_secret: Annotated[Secrets, Field(min_length=1, max_length=2)]
    """The first signs; both verify while the secret changes."""
    command: Literal["genqr", "pay"] = "genqr"
    """genqr: we show VNPay's QR, which VNPay must permit; pay: the customer opens VNPay's page."""

    @property
    def page(self) -> str | None:
        return f"{self.url}/paymentv2/vpcpay.html" if self.command == "pay" else None


class Momo(Section):
    url: Address
    partner_code: str
    access_key: Secret
    secret_key: Annotated[Secrets, Field(min_length=1, max_length=2)]
    """The first signs; both verify while the key changes."""
    shared: bool = False
    """Whether other programs use the account too."""


class Stripe(Section):
    url: Address
    api_key: Secret
    webhook_secret: Annotated[Secrets, Field(min_length=1, max_length=2)]
    """Both verify while the secret changes."""
    shared: bool = False
    """Whether other programs use the account too."""


class PayPal(Section):
    url: Address
    client_id: Secret
    client_secret: Secret
    webhook_id: str
    cert_host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{3,200}(:\d{1,5})?$")]
    """The host, or its parent domain, of the certificates that verify PayPal's webhooks."""
    ca: FilePath | None = None
    """The authorities that sign these certificates; None: the public authorities."""
    usd_rate: DollarRate
    shared: bool = False
    """Whether other programs use the account too."""


class Bank(Section):
    """The account for transfers, and the secrets of the two services that report them."""

    bin: Bin
    account: Annotated[str, Field(pattern=r"^[0-9A-Za-z]{1,19}$")]
    account_name: Annotated[str, Field(min_length=1)] = "FPT TELECOM"
    casso_secret: Annotated[Secrets, Field(min_length=1, max_length=2)]
    sepay_secret: Annotated[Secrets, Field(min_length=1, max_length=2)]


class Hifpt(Section):
    url: Address
    api_key: Secret


class Sms(Section):
    url: Address
    api_key: Secret
    sender_id: str = "FPT_TELECOM"


def paypal_in_development(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return PayPal's values, with the sandbox's certificates and today's rate where unset."""
    defaults = {
        "cert_host": urlsplit(str(values["url"])).netloc,
        "ca": str(_SANDBOX_AUTHORITY),
        "usd_rate": f"26000@{datetime.now(UTC).date()}",
    }
    return defaults | dict(values)
