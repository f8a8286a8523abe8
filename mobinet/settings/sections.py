"""The settings of each outer system: how it is reached, and what it and we know each other by."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FilePath, model_validator

from mobinet.settings.kinds import Address, Bin, Secret, Secrets


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class InternalSystem(Section):
    """One of ours: known by a key, or by a certificate."""

    url: Address
    api_key: Secret | None = None
    client_cert: FilePath | None = None
    client_key: FilePath | None = None
    ca: FilePath | None = None

    @model_validator(mode="after")
    def _knows_itself(self) -> Self:
        if (self.client_cert is None) != (self.client_key is None):
            raise ValueError(
                "has half a certificate: set __CLIENT_CERT and __CLIENT_KEY, or neither"
            )
        if self.api_key is None and self.client_cert is None:
            raise ValueError(
                "has nothing to say who we are: set __API_KEY, or __CLIENT_CERT and __CLIENT_KEY"
            )
        return self


class FptPay(Section):
    url: Address
    secret: Annotated[Secrets, Field(min_length=1, max_length=2)]
    """The first says who we are; both verify, while the secret is being changed."""


class Vnpay(Section):
    url: Address
    tmn_code: str
    hash_secret: Annotated[Secrets, Field(min_length=1, max_length=2)]
    """The first signs; both verify, while the secret is being changed."""
    command: Literal["genqr", "pay"] = "genqr"
    """genqr: the QR is shown by us, which VNPay has to allow; pay: the customer is sent to VNPay's page."""

    @property
    def page(self) -> str | None:
        return f"{self.url}/paymentv2/vpcpay.html" if self.command == "pay" else None


class Momo(Section):
    url: Address
    partner_code: str
    access_key: Secret
    secret_key: Annotated[Secrets, Field(min_length=1, max_length=2)]
    """The first signs; both verify, while the key is being changed."""
    shared: bool = False
    """Whether other programs use the account too."""


class Stripe(Section):
    url: Address
    api_key: Secret
    webhook_secret: Annotated[Secrets, Field(min_length=1, max_length=2)]
    """Either verifies, while it is being changed."""
    shared: bool = False
    """Whether other programs use the account too."""


class Bank(Section):
    """The account that customers transfer to, and what signs the two services' notices of it."""

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
