"""Every setting of the system: read from the environment once, checked whole, frozen, and silent about its secrets.

An outer system that is not named is the sandbox's in development; production refuses the sandbox, piece by piece.
"""

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
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.methods import GatewayName
from mobinet.settings import development_keys
from mobinet.settings import paypal as paypal_settings
from mobinet.settings.kinds import (
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
from mobinet.settings.names import PREFIX, misspelt, variable
from mobinet.settings.paypal import PayPal
from mobinet.settings.sections import (
    Bank,
    FptPay,
    Hifpt,
    InternalSystem,
    Momo,
    Section,
    Sms,
    Stripe,
    Vnpay,
)

_DEFAULT_PORT = 8000
_DEFAULT_SANDBOX_PORT = 8100
_DEFAULT_DATA_DIR = ".data"

# What the sandbox expects of those who call it.
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
    "paypal": paypal_settings.SANDBOX,
}
# It has no address: we are told of transfers, and ask nobody.
_ONLY_CALLS_US = frozenset({"bank"})


class SettingsError(Exception):
    """Its text is one line for each thing wrong: the variable, what is wrong with it, what to set."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def load() -> "Settings":
    """What the environment says, or `SettingsError`. In development it makes the keys that are missing."""
    wrong = [
        f"{name} is no setting: it looks like {meant}, misspelt."
        for name, meant in misspelt(os.environ, Settings)
    ]
    try:
        settings = Settings()  # pyright: ignore[reportCallIssue]  # the environment gives the arguments
    except SettingsError as error:
        raise SettingsError([*error.lines, *wrong]) from None
    if wrong:
        raise SettingsError(wrong)
    return settings


class Sandbox(Section):
    contracts: Annotated[int, Field(ge=0)] = 10_000


class Keys(Section):
    """Of each kind the first signs and all verify. Receipts have keys of their own: who can make a token cannot make a receipt."""

    signing: SigningKeys
    receipts: SigningKeys = ()
    """None given: made of the encryption key, so that production needs no more than it was promised."""
    encryption: EncryptionKey

    @field_validator("receipts", mode="after")
    @classmethod
    def _another_key(
        cls, receipts: tuple[SecretStr, ...], given: ValidationInfo
    ) -> tuple[SecretStr, ...]:
        if set(receipts) & set(given.data.get("signing", ())):
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
    token_lifetime: Seconds = timedelta(seconds=900)
    four_eyes_above: Dong = 5_000_000
    cash_in_hand_limit: Dong | None = None
    """None: the daily limit of each collector."""
    routes: Routes = Field(default_factory=dict)
    """
    Off: each method has its own gateway. Else a method's gateways, the first that works being taken before
    anything is sent; `on` is VNPAY_QR=VNPAY,BANK.
    """
    public_clients: Path | None = None
    """The folder of the documents that clients ship."""

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
        """The outer systems by name, each with its address."""
        return {name: getattr(self, name).url for name in _SANDBOX if name not in _ONLY_CALLS_US}

    @property
    def uses_sandbox(self) -> bool:
        return any(url.startswith(self.sandbox_url) for url in self.systems.values())

    @property
    def shared(self) -> frozenset[GatewayName]:
        """The gateways at which other programs use our account."""
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
            wrong = {
                variable(each["loc"]): _said(each)
                for each in error.errors(include_url=False, include_input=False)
            }
            raise SettingsError(
                [f"{name} {what}." for name, what in (wrong | refused).items()]
            ) from None
        if refused:
            raise SettingsError([f"{name} {what}." for name, what in refused.items()])
        return settings


def _completed(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given; for each outer system what is not given as the sandbox has it; in development our own keys."""
    data: dict[str, Any] = {"env": "development", **given}
    data.setdefault("public_url", f"http://127.0.0.1:{_port(data, 'port', _DEFAULT_PORT)}")
    for system, defaults in _SANDBOX.items():
        known = _mapping(data.get(system))
        if "client_cert" in known:  # it says who we are, so no key is needed beside it
            known.setdefault("api_key", None)
        url = {} if system in _ONLY_CALLS_US else {"url": f"{_sandbox_url(data)}/{system}"}
        data[system] = {**url, **defaults, **known}
    data["keys"] = _mapping(data.get("keys"))
    if data["env"] != "production":
        data["paypal"] = paypal_settings.in_development(data["paypal"])
        data_dir = Path(data.get("data_dir", _DEFAULT_DATA_DIR))
        for make in (
            development_keys.signing,
            development_keys.receipts,
            development_keys.encryption,
        ):
            if make.__name__ not in data["keys"]:
                data["keys"][make.__name__] = _made(make, data_dir)
    return data


def _made(make: Callable[[Path], Path], data_dir: Path) -> str:
    try:
        return str(make(data_dir))
    except OSError as error:
        why = f"cannot hold our keys ({error.strerror}): set a folder that we may write"
        raise SettingsError([f"{variable(('data_dir',))} {why}."]) from error


def _mapping(section: Any) -> dict[str, Any]:
    if isinstance(section, BaseModel):
        return section.model_dump()
    return dict(section or {})


def _sandbox_url(data: Mapping[str, Any]) -> str:
    return f"http://127.0.0.1:{_port(data, 'sandbox_port', _DEFAULT_SANDBOX_PORT)}"


def _port(data: Mapping[str, Any], name: str, default: int) -> int:
    """Of something that is no port, one complaint is enough."""
    given = str(data.get(name, default))
    return int(given) if given.isdecimal() and 0 < int(given) < 2**16 else default


def _refused_in_production(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
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


def _said(error: ErrorDetails) -> str:
    """Pydantic's words, where ours are not clearer. Never the value."""
    match error["type"]:
        case "value_error":
            return str(error.get("ctx", {})["error"])
        case "int_parsing" | "int_type":
            return "is not a whole number: set digits only"
        case "bool_parsing":
            return "is neither on nor off: set one of the two"
        case "literal_error":
            return f"must be {error.get('ctx', {})['expected']}"
        case "missing":
            return "is not set, and nothing can stand in for it: set it"
        case "greater_than_equal":
            return f"is too small: set {error.get('ctx', {})['ge']} or more"
        case "less_than_equal":
            return f"is too large: set {error.get('ctx', {})['le']} or less"
        case "too_long":
            return f"holds too many: set {error.get('ctx', {})['max_length']} at most"
        case "path_not_file":
            return "names no file that is there: set the path of one"
        case _:
            return f"is wrong: {error['msg'][0].lower()}{error['msg'][1:]}"
