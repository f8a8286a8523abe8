"""The sandbox reads the API's environment variables and has the same default secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.__main__ import main
from sandbox.settings import Settings


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "PUBLIC_URL", "DATA_DIR", "SANDBOX_PORT", "SANDBOX__CONTRACTS"):
        monkeypatch.delenv(f"MOBINET_{name}", raising=False)


def test_nothing_needs_to_be_set() -> None:
    settings = Settings()
    assert settings.sandbox_port == 8100
    assert settings.api_url == "http://127.0.0.1:8000"
    assert settings.database == Path(".data/sandbox.sqlite3")
    assert settings.sandbox.contracts == 10_000


def test_webhooks_are_sent_to_the_public_url_or_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBINET_PORT", "8123")
    assert Settings().api_url == "http://127.0.0.1:8123"
    monkeypatch.setenv("MOBINET_PUBLIC_URL", "https://pay.example.vn/")
    assert Settings().api_url == "https://pay.example.vn"


def test_the_sandbox_reads_the_apis_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBINET_SANDBOX_PORT", "8101")
    monkeypatch.setenv("MOBINET_SANDBOX__CONTRACTS", "12")
    monkeypatch.setenv("MOBINET_VNPAY__HASH_SECRET", "newer,older")
    settings = Settings()
    assert (settings.sandbox_port, settings.sandbox.contracts) == (8101, 12)
    assert settings.vnpay.secrets == [b"newer", b"older"]
    assert "newer" not in repr(settings)


def test_each_invalid_setting_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBINET_SANDBOX_PORT", "hunter2")
    monkeypatch.setenv("MOBINET_SANDBOX__CONTRACTS", "-1")
    with pytest.raises(SystemExit) as ended:
        main()
    port, contracts = str(ended.value).splitlines()
    assert port.startswith("MOBINET_SANDBOX_PORT is wrong: input should be a valid integer")
    assert contracts.startswith("MOBINET_SANDBOX__CONTRACTS is wrong: input should be greater")
    assert "hunter2" not in port
