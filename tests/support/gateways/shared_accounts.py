"""An API whose accounts at three gateways are shared with other programs, and their calls."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from mobinet.settings import Settings, load
from resolvers import webhooks
from tests.support.clocks import SetClock
from tests.support.gateways.callers import (
    Caller,
    MoMo,
    PayPal,
    Stripe,
    call_of,
    new_notice,
    send,
    trust_paypal_signer,
)
from tests.support.running_api import Api

SHARED = ("STRIPE", "PAYPAL", "MOMO")
THEIRS = {"STRIPE": "ORDER-778", "PAYPAL": "webshop-4711", "MOMO": "4711-0012"}
CALLERS: dict[str, Caller] = {"STRIPE": Stripe(), "PAYPAL": PayPal(), "MOMO": MoMo()}

at_each = pytest.mark.parametrize("gateway", SHARED)


@pytest.fixture(scope="module")
def api_settings(api_settings: Settings) -> Iterator[Settings]:
    """Return the settings of the environment, with three shared accounts."""
    with pytest.MonkeyPatch.context() as patch:
        for name in SHARED:
            patch.setenv(f"MOBINET_{name}__SHARED", "true")
        for name, value in {
            "DATABASE_URL": api_settings.database_url,
            "REDIS_URL": api_settings.redis_url,
        }.items():
            assert value is not None
            patch.setenv(f"MOBINET_{name}", value.get_secret_value())
        patch.setenv("MOBINET_DATA_DIR", str(api_settings.data_dir))
        patch.setenv("MOBINET_PORT", str(api_settings.port))
        patch.setenv("MOBINET_SANDBOX_PORT", str(api_settings.sandbox_port))
        yield load()


@pytest.fixture(autouse=True)
def introduced(api: Api) -> None:
    """Give up the events that another test left waiting."""
    trust_paypal_signer(api)
    api.rows("update webhook_event set outcome = 'DEAD' where outcome in ('RECEIVED', 'UNMATCHED')")


@pytest.fixture
def unshared(api: Api) -> Iterator[None]:
    """Let the accounts be ours alone, which is the default."""
    shared = api.context
    api.app.state.context = replace(shared, terms=replace(shared.terms, shared=frozenset()))
    yield
    api.app.state.context = shared


def tell(api: Api, gateway: str, reference: str, amount: int = 17_470, **but: Any) -> int:
    """Send a gateway's call about *reference*; return the status of the answer."""
    caller = CALLERS[gateway]
    return send(api, caller, call_of(caller, new_notice(reference, amount, **but))).status_code


def rows(api: Api, reference: str) -> list[Any]:
    return api.rows(
        "select * from webhook_event where reference = $1 order by received_at", reference
    )


def outcomes(api: Api, reference: str) -> list[str]:
    return [row["outcome"] for row in rows(api, reference)]


def cases(api: Api) -> int:
    return api.rows("select count(*) from money_case")[0]["count"]


def counted(api: Api, gateway: str, outcome: str) -> float:
    name = f'mobinet_webhooks_total{{gateway="{gateway.lower()}",outcome="{outcome}"}}'
    found = re.search(rf"^{re.escape(name)} (.+)$", api.http.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def an_hour_passes(api: Api) -> None:
    """Let the worker retry the waiting events for the last time; unmatched money becomes a case."""
    api.rows(
        "update webhook_event set tries = $1 where outcome in ('RECEIVED', 'UNMATCHED')",
        webhooks.MAX_TRIES - 1,
    )

    async def later() -> datetime:
        return await api.context.clock() + timedelta(hours=1)

    api.run(webhooks.retry(replace(api.context, clock=SetClock(later))))


def different(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {name for name in after if before[name] != after[name]}
