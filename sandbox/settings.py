"""The sandbox's settings: the API's environment variables, read without the API's code."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Revenue(BaseModel):
    api_key: SecretStr = SecretStr("sandbox-revenue-key")


class Customer(BaseModel):
    api_key: SecretStr = SecretStr("sandbox-customer-key")


class Staff(BaseModel):
    api_key: SecretStr = SecretStr("sandbox-staff-key")


class Debt(BaseModel):
    api_key: SecretStr = SecretStr("sandbox-debt-key")


class HiFPT(BaseModel):
    api_key: SecretStr = SecretStr("sandbox-hifpt-key")


class SMS(BaseModel):
    api_key: SecretStr = SecretStr("sandbox-sms-key")
    sender_id: str = "FPT_TELECOM"


class FptPay(BaseModel):
    secret: SecretStr = SecretStr("sandbox-fpt-pay-secret")

    @property
    def secrets(self) -> list[bytes]:
        """Return the secrets that authenticate the merchant; the first one signs our webhooks."""
        return _split(self.secret)


class VNPay(BaseModel):
    tmn_code: str = "MOBINET1"
    hash_secret: SecretStr = SecretStr("sandbox-vnpay-hash-secret")

    @property
    def secrets(self) -> list[bytes]:
        """Return the secrets that may sign a request; the first one signs our calls."""
        return _split(self.hash_secret)


class MoMo(BaseModel):
    partner_code: str = "MOBINET"
    access_key: SecretStr = SecretStr("sandbox-momo-access-key")
    secret_key: SecretStr = SecretStr("sandbox-momo-secret-key")

    @property
    def keys(self) -> list[bytes]:
        """Return the keys that may sign a request; the first one signs our calls."""
        return _split(self.secret_key)


class Bank(BaseModel):
    """The merchant's account, and the keys of the two services that report its transfers."""

    bin: str = "999999"
    account: str = "MOBINETSANDBOX"
    casso_secret: SecretStr = SecretStr("sandbox-bank-casso-secret")
    sepay_secret: SecretStr = SecretStr("sandbox-bank-sepay-secret")

    def key(self, service: str) -> bytes:
        """Return the key with which a service signs."""
        return _split(self.casso_secret if service == "casso" else self.sepay_secret)[0]


class PayPal(BaseModel):
    client_id: SecretStr = SecretStr("sandbox-paypal-client")
    client_secret: SecretStr = SecretStr("sandbox-paypal-secret")
    webhook_id: str = "SANDBOX-WEBHOOK"


class Stripe(BaseModel):
    api_key: SecretStr = SecretStr("sandbox-stripe-key")
    webhook_secret: SecretStr = SecretStr("whsec_sandbox-stripe-secret")

    @property
    def secrets(self) -> list[bytes]:
        """Return the secrets; each of them signs every webhook."""
        return _split(self.webhook_secret)


def _split(secrets: SecretStr) -> list[bytes]:
    """Return the secrets: two, separated by a comma, during a rotation."""
    both = secrets.get_secret_value().split(",")
    return [secret.strip().encode() for secret in both if secret.strip()]


class Sandbox(BaseModel):
    contracts: int = Field(default=10_000, ge=0)
    # 60 shortens the five minutes between two IPN calls to five seconds.
    time_scale: float = Field(default=1, gt=0)


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="MOBINET_", env_nested_delimiter="__", env_ignore_empty=True, extra="ignore"
    )

    host: str = "127.0.0.1"
    sandbox_port: int = 8100
    port: int = 8000
    public_url: str = ""
    data_dir: Path = Path(".data")

    sandbox: Sandbox = Sandbox()
    revenue: Revenue = Revenue()
    customer: Customer = Customer()
    staff: Staff = Staff()
    debt: Debt = Debt()
    hifpt: HiFPT = HiFPT()
    sms: SMS = SMS()
    fpt_pay: FptPay = FptPay()
    vnpay: VNPay = VNPay()
    momo: MoMo = MoMo()
    bank: Bank = Bank()
    stripe: Stripe = Stripe()
    paypal: PayPal = PayPal()

    @property
    def api_url(self) -> str:
        """Return the base URL of the merchant's webhooks."""
        return (self.public_url or f"http://127.0.0.1:{self.port}").rstrip("/")

    @property
    def database(self) -> Path:
        return self.data_dir / "sandbox.sqlite3"
