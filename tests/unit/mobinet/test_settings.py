"""The environment is read once; each wrong variable becomes one line with its remedy."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from domain.methods import GatewayName, PaymentMethod
from integrations.keys import derive_key
from mobinet.settings import Settings, SettingsError, load
from tests.unit.mobinet.production import OPENSSL_KEY, OTHER_KEY, PRODUCTION


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("MOBINET_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def set_variables(monkeypatch: pytest.MonkeyPatch):
    def set_each(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"MOBINET_{name}", value)

    return set_each


def plain(secrets: Iterable[SecretStr]) -> list[str]:
    return [secret.get_secret_value() for secret in secrets]


def problems() -> list[str]:
    with pytest.raises(SettingsError) as raised:
        load()
    return raised.value.lines


def test_without_settings_every_outer_system_is_the_sandbox():
    settings = load()
    assert settings.env == "development"
    assert settings.database_url is None
    assert settings.public_url == "http://127.0.0.1:8000"
    assert settings.fpt_pay.url == "http://127.0.0.1:8100/fpt_pay"
    assert settings.revenue.api_key
    assert settings.revenue.api_key.get_secret_value() == "sandbox-revenue-key"
    assert plain(settings.vnpay.hash_secret) == ["sandbox-vnpay-hash-secret"]
    assert settings.qr_lifetime == timedelta(minutes=15)
    assert settings.cash_in_hand_limit is None
    assert settings.sandbox.contracts == 10_000


def test_the_ports_change_the_default_addresses(set_variables):
    set_variables(PORT="9000", SANDBOX_PORT="9100")
    settings = load()
    assert settings.public_url == "http://127.0.0.1:9000"
    assert settings.sms.url == "http://127.0.0.1:9100/sms"


def test_an_empty_variable_counts_as_unset(set_variables):
    set_variables(DATABASE_URL="", REVENUE__URL="")
    assert load().database_url is None
    assert load().revenue.url == "http://127.0.0.1:8100/revenue"


def test_production_starts_when_all_is_set(set_variables):
    set_variables(
        **PRODUCTION, DATABASE_REPLICA_URLS="postgresql://a/m, postgresql://b/m", ROUTES="on"
    )
    settings = load()
    assert settings.env == "production"
    assert len(settings.database_replica_urls) == 2
    assert plain(settings.vnpay.hash_secret) == ["new-hash", "old-hash"]
    assert plain(settings.fpt_pay.secret) == ["new-fpt-pay", "old-fpt-pay"]
    assert settings.keys.encryption.get_secret_value() == b"k" * 32
    assert settings.routes == {PaymentMethod.VNPAY_QR: (GatewayName.VNPAY, GatewayName.BANK)}
    assert not Path(".data").exists()


def test_without_a_receipts_key_production_derives_it_from_the_encryption_key(set_variables):
    set_variables(**{name: value for name, value in PRODUCTION.items() if name != "KEYS__RECEIPTS"})
    assert load().keys.receipts == ()
    keys = [derive_key(secret, "receipts") for secret in (b"k" * 32, b"k" * 32, b"l" * 32)]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    "missing", [name for name in PRODUCTION if name not in {"ENV", "KEYS__RECEIPTS"}]
)
def test_production_refuses_a_missing_setting(set_variables, missing):
    set_variables(**{name: value for name, value in PRODUCTION.items() if name != missing})
    [line] = problems()
    assert line.startswith(f"MOBINET_{missing} is ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REVENUE__URL", "http://127.0.0.1:8100/revenue"),
        ("STAFF__API_KEY", "sandbox-staff-key"),
        ("FPT_PAY__SECRET", "sandbox-anything"),
        ("VNPAY__HASH_SECRET", "real-one,sandbox-vnpay-hash-secret"),
    ],
)
def test_production_refuses_the_sandboxes_values(set_variables, name, value):
    set_variables(**{**PRODUCTION, name: value})
    [line] = problems()
    assert line.startswith(f"MOBINET_{name} is the sandbox's")
    assert value not in line


def test_all_problems_are_reported_together_and_without_values(set_variables):
    set_variables(
        PORT="eighty",
        DATABASE_URL="mysql://root:hunter2@db/mobinet",
        QR_LIFETIME="a while",
        KEYS__ENCRYPTION="hunter2",
        SMS__URL="sms.internal?key=hunter2",
        ENV="prod",
    )
    lines = problems()
    assert {line.split()[0] for line in lines} == {
        "MOBINET_PORT",
        "MOBINET_DATABASE_URL",
        "MOBINET_QR_LIFETIME",
        "MOBINET_KEYS__ENCRYPTION",
        "MOBINET_SMS__URL",
        "MOBINET_ENV",
    }
    assert not any("hunter2" in line or "a while" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "similar"),
    [
        ("DATABSE_URL", "DATABASE_URL"),
        ("REDISURL", "REDIS_URL"),
        ("VNPAY_HASH_SECRET", "VNPAY__HASH_SECRET"),
        ("FOUREYES_ABOVE", "FOUR_EYES_ABOVE"),
    ],
)
def test_a_misspelt_setting_is_reported(set_variables, name, similar):
    set_variables(**{name: "hunter2"})
    assert problems() == [
        f"MOBINET_{name} is no setting: it looks like MOBINET_{similar}, misspelt."
    ]
    set_variables(PORT="eighty")
    assert len(problems()) == 2


def test_an_account_is_not_shared_by_default(set_variables):
    assert load().shared == set()
    set_variables(STRIPE__SHARED="true", MOMO__SHARED="false", PAYPAL__SHARED="on")
    assert load().shared == {GatewayName.STRIPE, GatewayName.PAYPAL}
    set_variables(**PRODUCTION, MOMO__SHARED="1")
    assert load().shared == {GatewayName.STRIPE, GatewayName.PAYPAL, GatewayName.MOMO}
    set_variables(MOMO__SHARED="sometimes")
    assert problems() == ["MOBINET_MOMO__SHARED is neither on nor off: set one of the two."]


def test_other_programs_variables_with_our_prefix_are_ignored(set_variables):
    set_variables(SANDBOX__TIME_SCALE="60", SMTP__URL="smtp://mail", TEST_FOLDER="x")
    load()


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("PORT", "99999", "is too large: set 65535 or less"),
        ("PORT", "0", "is too small: set 1 or more"),
        ("CASH_IN_HAND_LIMIT", "-1", "is too small: set 0 or more"),
        ("VNPAY__HASH_SECRET", "a,b,c", "holds too many: set 2 at most"),
        (
            "DATA_DIR",
            "/dev/null",
            "cannot hold our keys (Not a directory): set a folder that we may write",
        ),
    ],
)
def test_a_mistake_is_reported_in_one_line(set_variables, name, value, line):
    set_variables(**{name: value})
    assert problems() == [f"MOBINET_{name} {line}."]


def test_no_representation_shows_a_secret(set_variables):
    set_variables(**PRODUCTION)
    text = f"{load()!r} {load()} {load().model_dump()}"
    assert not any(secret in text for secret in ("hidden", "real-", "-hash", "PRIVATE", "k" * 32))


def test_a_certificate_replaces_the_api_key(set_variables, folder):
    for name in ("client.pem", "client.key"):
        (folder / name).write_text("a certificate")
    without_key = {name: value for name, value in PRODUCTION.items() if name != "REVENUE__API_KEY"}
    set_variables(
        **without_key, REVENUE__CLIENT_CERT="client.pem", REVENUE__CLIENT_KEY="client.key"
    )
    assert load().revenue.api_key is None


def test_half_a_certificate_is_refused(set_variables, folder):
    (folder / "client.pem").write_text("a certificate")
    set_variables(REVENUE__CLIENT_CERT="client.pem", REVENUE__API_KEY="key")
    assert problems() == [
        "MOBINET_REVENUE has half a certificate: set __CLIENT_CERT and __CLIENT_KEY, or neither."
    ]


def test_a_key_file_may_hold_the_previous_key_too(set_variables, folder):
    (folder / "signing.pem").write_text(OPENSSL_KEY + OTHER_KEY)
    set_variables(KEYS__SIGNING="signing.pem")
    assert plain(load().keys.signing) == [OPENSSL_KEY, OTHER_KEY]


def test_the_tokens_key_may_not_sign_receipts(set_variables):
    set_variables(KEYS__SIGNING=OPENSSL_KEY, KEYS__RECEIPTS=OPENSSL_KEY)
    assert problems() == [
        "MOBINET_KEYS__RECEIPTS is the key of MOBINET_KEYS__SIGNING: set another one."
    ]


def test_development_keys_are_created_once_and_are_private():
    first, second = load().keys, load().keys
    assert first == second
    assert first.signing != first.receipts
    for name in ("signing.pem", "receipts.pem", "encryption.key"):
        assert stat.S_IMODE((Path(".data/keys") / name).stat().st_mode) == 0o600


def test_processes_that_start_together_agree_on_the_keys():
    program = "from mobinet.settings import load; print(load().keys.signing[0].get_secret_value())"
    command = [sys.executable, "-c", program]
    root = Path(__file__).parents[3]
    processes = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(root)}
        )
        for _ in range(6)
    ]
    keys = {process.communicate()[0] for process in processes}
    assert len(keys) == 1
    assert "PRIVATE KEY" in keys.pop()


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load().port = 1  # pyright: ignore[reportAttributeAccessIssue]


def test_arguments_take_precedence_over_the_environment(folder):
    settings = Settings(data_dir=folder / "elsewhere", qr_lifetime=timedelta(seconds=1))
    assert settings.qr_lifetime.seconds == 1


@pytest.mark.parametrize(
    ("text", "routes"),
    [
        ("off", {}),
        ("vnpay_qr=vnpay,bank", {PaymentMethod.VNPAY_QR: (GatewayName.VNPAY, GatewayName.BANK)}),
        (
            "MOMO=MOMO,BANK; CARD=STRIPE",
            {
                PaymentMethod.MOMO: (GatewayName.MOMO, GatewayName.BANK),
                PaymentMethod.CARD: (GatewayName.STRIPE,),
            },
        ),
    ],
)
def test_routes_are_read_by_method(set_variables, text: str, routes: dict[Any, Any]):
    set_variables(ROUTES=text)
    assert load().routes == routes


@pytest.mark.parametrize(
    "text",
    [
        *("yes", "VNPAY_QR", "VNPAY_QR=", "VNPAY_QR=VNPAY,"),
        "CASH=BANK",
        "FPT_PAY=BANK",
        "VNPAY_QR=VNPAY,FPT_PAY",
        "VNPAY_QR=VNPAY,VNPAY",
        "VNPAY_QR=VNPAY;VNPAY_QR=BANK",
        "X=BANK",
    ],
)
def test_an_impossible_route_is_refused(set_variables, text: str):
    set_variables(ROUTES=text)
    with pytest.raises(SettingsError, match="MOBINET_ROUTES"):
        load()


def test_vnpay_gives_a_qr_or_shows_its_own_page(set_variables):
    assert load().vnpay.page is None
    set_variables(VNPAY__COMMAND="pay", VNPAY__URL="https://pay.vnpay.example/")
    assert load().vnpay.page == "https://pay.vnpay.example/paymentv2/vpcpay.html"
    set_variables(VNPAY__COMMAND="sell")
    with pytest.raises(SettingsError, match=r"MOBINET_VNPAY__COMMAND must be 'genqr' or 'pay'"):
        load()
