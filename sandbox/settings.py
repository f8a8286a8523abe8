"""What the sandbox is told: the same environment names as the API's, read without the API's code."""

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
        """What the merchant may say to be known; the first signs what we send."""
        return _each(self.secret)


class VNPay(BaseModel):
    tmn_code: str = "MOBINET1"
    hash_secret: SecretStr = SecretStr("sandbox-vnpay-hash-secret")

    @property
    def secrets(self) -> list[bytes]:
        """The secrets that a request may be signed with; the first signs what we send."""
        return _each(self.hash_secret)


class MoMo(BaseModel):
    partner_code: str = "MOBINET"
    access_key: SecretStr = SecretStr("sandbox-momo-access-key")
    secret_key: SecretStr = SecretStr("sandbox-momo-secret-key")

    @property
    def keys(self) -> list[bytes]:
        """The keys that a request may be signed with; the first signs what we send."""
        return _each(self.secret_key)


class Bank(BaseModel):
    """The account that is paid into, and the keys of the two services that tell of it."""

    bin: str = "999999"
    account: str = "MOBINETSANDBOX"
    casso_secret: SecretStr = SecretStr("sandbox-bank-casso-secret")
    sepay_secret: SecretStr = SecretStr("sandbox-bank-sepay-secret")

    def key(self, service: str) -> bytes:
        """The key by which a service signs."""
        return _each(self.casso_secret if service == "casso" else self.sepay_secret)[0]


class PayPal(BaseModel):
    client_id: SecretStr = SecretStr("sandbox-paypal-client")
    client_secret: SecretStr = SecretStr("sandbox-paypal-secret")
    webhook_id: str = "SANDBOX-WEBHOOK"


class Stripe(BaseModel):
    api_key: SecretStr = SecretStr("sandbox-stripe-key")
    webhook_secret: SecretStr = SecretStr("whsec_sandbox-stripe-secret")

    @property
    def secrets(self) -> list[bytes]:
        """Every one of them signs what we send."""
        return _each(self.webhook_secret)


def _each(secrets: SecretStr) -> list[bytes]:
    """Two, separated by a comma, while one is being changed."""
    both = secrets.get_secret_value().split(",")
    return [secret.strip().encode() for secret in both if secret.strip()]


class Sandbox(BaseModel):
    contracts: int = Field(default=10_000, ge=0)
    # 60 makes the five minutes between two IPN calls last five seconds.
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
        """Where the merchant's own webhooks are registered."""
        return (self.public_url or f"http://127.0.0.1:{self.port}").rstrip("/")

    @property
    def database(self) -> Path:
        return self.data_dir / "sandbox.sqlite3"
