"""
Every setting of the system, read from the environment once, validated and frozen.

In development an outer system without settings is the sandbox's; production refuses the sandbox.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.methods import GatewayName
from mobinet.settings import development_keys
from mobinet.settings.errors import PREFIX, SettingsError, misspelt, problem, variable
from mobinet.settings.sections import (
    Bank,
    FptPay,
    Hifpt,
    InternalSystem,
    Momo,
    PayPal,
    Section,
    Sms,
    Stripe,
    Vnpay,
    paypal_in_development,
)
from mobinet.settings.value_types import (
    SANDBOX_BIN,
    Address,
    DatabaseAddress,
    DatabaseAddresses,
    Dong,
    EncryptionKey,
    Port,
    RedisAddress,
    Routes,
    Seconds,
    SigningKeys,
)

_DEFAULT_PORT = 8000
_DEFAULT_SANDBOX_PORT = 8100
_DEFAULT_DATA_DIR = ".data"

# The credentials that the sandbox expects.
_SANDBOX: Mapping[str, Mapping[str, str]] = {
    "revenue": {"api_key": "sandbox-revenue-key"},
    "customer": {"api_key": "sandbox-customer-key"},
    "staff": {"api_key": "sandbox-staff-key"},
    "debt": {"api_key": "sandbox-debt-key"},
    "hifpt": {"api_key": "sandbox-hifpt-key"},
    "sms": {"api_key": "sandbox-sms-key"},
    "fpt_pay": {"secret": "sandbox-fpt-pay-secret"},
    "vnpay": {"tmn_code": "MOBINET1", "hash_secret": "sandbox-vnpay-hash-secret"},
    "momo": {
        "partner_code": "MOBINET",
        "access_key": "sandbox-momo-access-key",
        "secret_key": "sandbox-momo-secret-key",
    },
    "stripe": {"api_key": "sandbox-stripe-key", "webhook_secret": "whsec_sandbox-stripe-secret"},
    "bank": {
        "bin": SANDBOX_BIN,
        "account": "MOBINETSANDBOX",
        "casso_secret": "sandbox-bank-casso-secret",
        "sepay_secret": "sandbox-bank-sepay-secret",
    },
    "paypal": {
        "client_id": "sandbox-paypal-client",
        "client_secret": "sandbox-paypal-secret",
        "webhook_id": "SANDBOX-WEBHOOK",
    },
}
# The bank only calls us, so it has no address.
_WITHOUT_ADDRESS = frozenset({"bank"})


def load() -> Settings:
    """
    Return the environment's settings; in development, create missing keys.

    Raises SettingsError.
    """
    typos = [
        f"{name} is no setting: it looks like {similar}, misspelt."
        for name, similar in misspelt(os.environ, Settings)
    ]
    try:
        settings = Settings()  # pyright: ignore[reportCallIssue]  # the environment gives the arguments
    except SettingsError as error:
        raise SettingsError([*error.lines, *typos]) from None
    if typos:
        raise SettingsError(typos)
    return settings


class Sandbox(Section):
    contracts: Annotated[int, Field(ge=0)] = 10_000


class Keys(Section):
    """
    Of each kind the first key signs and all verify.

    Receipts have keys of their own, so that the tokens' key cannot sign a receipt.
    """

    signing: SigningKeys
    receipts: SigningKeys = ()
    """Empty: derived from the encryption key."""
    encryption: EncryptionKey

    @field_validator("receipts", mode="after")
    @classmethod
    def _differs_from_signing(
        cls, receipts: tuple[SecretStr, ...], info: ValidationInfo
    ) -> tuple[SecretStr, ...]:
        if set(receipts) & set(info.data.get("signing", ())):
            raise ValueError("is the key of MOBINET_KEYS__SIGNING: set another one")
        return receipts


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        frozen=True,
        hide_input_in_errors=True,
        extra="ignore",
    )

    env: Literal["development", "production"] = "development"
    host: str = "127.0.0.1"
    port: Port = _DEFAULT_PORT
    sandbox_port: Port = _DEFAULT_SANDBOX_PORT
    dashboard_port: Port = 8200
    public_url: Address
    data_dir: Annotated[Path, AfterValidator(Path.absolute)] = Path(_DEFAULT_DATA_DIR)

    database_url: DatabaseAddress | None = None
    """None: the embedded server."""
    database_owner_url: DatabaseAddress | None = None
    """For migrations; None: `database_url`."""
    database_replica_urls: DatabaseAddresses = ()
    redis_url: RedisAddress | None = None
    """None: the embedded server."""

    keys: Keys
    qr_lifetime: Seconds = timedelta(seconds=900)
    """How long a payment may be open; then it expires once its gateway says unpaid."""
    token_lifetime: Seconds = timedelta(seconds=900)
    four_eyes_above: Dong = 5_000_000
    cash_in_hand_limit: Dong | None = None
    """None: the daily limit of each collector."""
    routes: Routes = Field(default_factory=dict)
    """
    The gateways of a method in order of preference; a payment starts at the first that works.

    `off`: each method has its own gateway. `on`: VNPAY_QR=VNPAY,BANK.
    """
    public_clients: Path | None = None
    """The folder with the documents of shipped clients."""

    revenue: InternalSystem
    customer: InternalSystem
    staff: InternalSystem
    debt: InternalSystem
    fpt_pay: FptPay
    vnpay: Vnpay
    momo: Momo
    bank: Bank
    stripe: Stripe
    paypal: PayPal
    hifpt: Hifpt
    sms: Sms
    sandbox: Sandbox = Sandbox()

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def systems(self) -> dict[str, str]:
        """The addresses of the outer systems by name."""
        return {name: getattr(self, name).url for name in _SANDBOX if name not in _WITHOUT_ADDRESS}

    @property
    def uses_sandbox(self) -> bool:
        return any(url.startswith(self.sandbox_url) for url in self.systems.values())

    @property
    def shared(self) -> frozenset[GatewayName]:
        """The gateways whose account other programs use too."""
        sections = {
            GatewayName.MOMO: self.momo,
            GatewayName.STRIPE: self.stripe,
            GatewayName.PAYPAL: self.paypal,
        }
        return frozenset(name for name, section in sections.items() if section.shared)

    @model_validator(mode="wrap")
    @classmethod
    def _check(cls, data: dict[str, Any], handler: ModelWrapValidatorHandler[Self]) -> Self:
        data = _completed(data)
        refused = dict(_refused_in_production(data)) if data["env"] == "production" else {}
        try:
            settings = handler(data)
        except ValidationError as error:
            invalid = {
                variable(detail["loc"]): problem(detail)
                for detail in error.errors(include_url=False, include_input=False)
            }
            raise _settings_error(invalid | refused) from None
        if refused:
            raise _settings_error(refused)
        return settings


def _settings_error(problems: Mapping[str, str]) -> SettingsError:
    return SettingsError([f"{name} {reason}." for name, reason in problems.items()])


def _completed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values, with the sandbox's for outer systems and with development keys."""
    data: dict[str, Any] = {"env": "development", **values}
    data.setdefault("public_url", f"http://127.0.0.1:{_port(data, 'port', _DEFAULT_PORT)}")
    for system, defaults in _SANDBOX.items():
        section = _mapping(data.get(system))
        if "client_cert" in section:  # a certificate takes the place of the API key
            section.setdefault("api_key", None)
        url = {} if system in _WITHOUT_ADDRESS else {"url": f"{_sandbox_url(data)}/{system}"}
        data[system] = {**url, **defaults, **section}
    data["keys"] = _mapping(data.get("keys"))
    if data["env"] != "production":
        data["paypal"] = paypal_in_development(data["paypal"])
        data_dir = Path(data.get("data_dir", _DEFAULT_DATA_DIR))
        for make in (
            development_keys.signing,
            development_keys.receipts,
            development_keys.encryption,
        ):
            if make.__name__ not in data["keys"]:
                data["keys"][make.__name__] = _key_file(make, data_dir)
    return data


def _key_file(make: Callable[[Path], Path], data_dir: Path) -> str:
    try:
        return str(make(data_dir))
    except OSError as error:
        reason = f"cannot hold our keys ({error.strerror}): set a folder that we may write"
        raise _settings_error({variable(("data_dir",)): reason}) from error


def _mapping(section: Any) -> dict[str, Any]:
    if isinstance(section, BaseModel):
        return section.model_dump()
    return dict(section or {})


def _sandbox_url(data: Mapping[str, Any]) -> str:
    return f"http://127.0.0.1:{_port(data, 'sandbox_port', _DEFAULT_SANDBOX_PORT)}"


def _port(data: Mapping[str, Any], name: str, default: int) -> int:
    """Return the port, or the default where it is invalid, which the field itself reports."""
    text = str(data.get(name, default))
    return int(text) if text.isdecimal() and 0 < int(text) < 2**16 else default


def _refused_in_production(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each variable that production needs or refuses, with the problem."""
    for name, scheme in (("database_url", "postgresql"), ("redis_url", "redis")):
        if not data.get(name):
            yield (
                variable((name,)),
                f"is not set, and production embeds no server: set {scheme}://…",
            )
    for name in ("signing", "encryption"):
        if not data["keys"].get(name):
            yield (
                variable(("keys", name)),
                "is not set, and production makes no keys: set the key, or a file that holds it",
            )
    for system, defaults in _SANDBOX.items():
        for name, value in data[system].items():
            if name == "url" and str(value).startswith(_sandbox_url(data)):
                yield (
                    variable((system, name)),
                    "is the sandbox's or not set: set the address of the real system",
                )
            elif value == defaults.get(name) or "sandbox-" in str(value):
                yield (
                    variable((system, name)),
                    "is the sandbox's or not set: set what the real system gave us",
                )
