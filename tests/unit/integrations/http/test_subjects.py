"""The subjects of calls: failures about one subject, and well-formed answers, stop no calls."""

from __future__ import annotations

import ast
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain.attempts import Attempt
from domain.gateways import Gateway, GatewayUnavailable, RefundingGateway
from domain.payment_evidence import GatewayResult
from domain.refusals import UpstreamUnavailable
from domain.reversals import Reversal
from domain.staff import InvalidCredentials
from integrations.http.breaker import BreakerState
from integrations.http.client import Upstream
from integrations.systems.customer import CustomerManagement
from integrations.systems.debt import DebtManagement
from integrations.systems.revenue import Revenue
from integrations.systems.staff import StaffManagement
from tests.support.gateways import counterpart as acts
from tests.support.gateways.all_dialects import DIALECTS
from tests.support.gateways.counterpart import Counterpart, says
from tests.support.gateways.dialects import NOW, ORDER, REFERENCE, Dialect, attempt, reversal

STAFF = {
    "staff_id": "NV001",
    "name": "Tran Van B",
    "role": "TIN_PNC",
    "payment_limits": {"daily_limit": 2, "per_transaction_limit": 1, "used_today": 0},
    "permissions": ["payment_processing"],
}
CUSTOMER = {
    "customer_id": "CUST_001",
    "contract_number": "SGFDN1015",
    "name": "Nguyen Van A",
    "phone_numbers": [],
    "contract_status": "active",
    "service_address": "123 ABC Street",
}
INTEGRATIONS = Path(__file__).parents[4] / "integrations"
CONTRACTS = [f"SGFDN{number}" for number in range(2000, 2006)]

Query = Callable[[Upstream, str], Awaitable[object]]


# Each query with its answer about SGFDN9.
SYSTEMS: dict[str, tuple[Query, dict[str, Any]]] = {
    "authenticate": (
        lambda http, id: StaffManagement(http).authenticate(id, "x"),
        STAFF | {"staff_id": "SGFDN9"},
    ),
    "staff": (lambda http, id: StaffManagement(http).staff(id), STAFF | {"staff_id": "SGFDN9"}),
    "customer": (
        lambda http, id: CustomerManagement(http).customer(id),
        CUSTOMER | {"contract_number": "SGFDN9"},
    ),
    "bills": (lambda http, id: Revenue(http).bills(id), {"contract_number": "SGFDN9", "bills": []}),
    "fees": (lambda http, id: Revenue(http).fees(id), {"contract_number": "SGFDN9", "fees": []}),
    "history": (
        lambda http, id: Revenue(http).history(id),
        {"contract_number": "SGFDN9", "payments": []},
    ),
    "debt": (
        lambda http, id: DebtManagement(http).debt(id),
        {"contract_number": "SGFDN9", "total_debt": 0, "overdue_months": 0, "status": "clear"},
    ),
}
systems = pytest.mark.parametrize(("query", "answer"), SYSTEMS.values(), ids=SYSTEMS)


def state(http: Upstream) -> tuple[BreakerState, int]:
    (health,) = http.snapshot()
    return health.state, health.failures_in_a_row


# ── the internal systems ─────────────────────────────────────────────────────────────────────────


@systems
async def test_an_answer_about_another_contract_is_refused_and_counts_in_no_breaker(
    query: Query, answer: dict[str, Any], http: Upstream, counterpart: Counterpart
) -> None:
    counterpart.always(says(answer))
    for number in CONTRACTS:
        with pytest.raises(UpstreamUnavailable) as refusal:
            await query(http, number)
        assert refusal.value.retry_after_ms is None
    assert state(http) == (BreakerState.CLOSED, 0)
    assert await query(http, "SGFDN9") is not None


@systems
async def test_an_answer_in_another_spelling_is_accepted(
    query: Query, answer: dict[str, Any], http: Upstream, counterpart: Counterpart
) -> None:
    (name,) = {"staff_id", "contract_number"} & answer.keys()
    counterpart.always(says(answer | {name: " sgfdn9\u200b"}))
    shown = str(await query(http, "SGFDN9"))
    assert "sgfdn9" not in shown, "ids are returned in one spelling"


@systems
async def test_failures_about_one_subject_do_not_stop_others(
    query: Query, answer: dict[str, Any], http: Upstream, counterpart: Counterpart
) -> None:
    counterpart.always(acts.server_error)
    for _ in range(4):  # sixteen requests
        with pytest.raises(UpstreamUnavailable):
            await query(http, "SGFDN2000")
    counterpart.always(says(answer))
    assert await query(http, "SGFDN9") is not None


@systems
async def test_failures_about_two_subjects_refuse_calls_with_a_retry_time(
    query: Query, answer: dict[str, Any], http: Upstream, counterpart: Counterpart
) -> None:
    counterpart.always(acts.server_error)
    for number in ("SGFDN2000", "SGFDN2001"):
        with pytest.raises(UpstreamUnavailable):
            await query(http, number)
    sent = len(counterpart.seen)
    with pytest.raises(UpstreamUnavailable) as refusal:
        await query(http, "SGFDN9")
    assert len(counterpart.seen) == sent
    assert refusal.value.retry_after_ms is not None
    assert 0 < refusal.value.retry_after_ms <= 15_000


@systems
async def test_refused_connections_about_one_subject_do_not_stop_others(
    query: Query, answer: dict[str, Any], http: Upstream, counterpart: Counterpart
) -> None:
    await counterpart.close()
    for number in ("SGFDN2000", "SGFDN2000", "SGFDN2001"):
        assert http.snapshot() == () or state(http)[0] is BreakerState.CLOSED
        with pytest.raises(UpstreamUnavailable):
            await query(http, number)
    assert state(http)[0] is BreakerState.OPEN, "two subjects cannot reach it"


async def test_all_logins_of_a_person_have_one_subject(
    http: Upstream, counterpart: Counterpart
) -> None:
    counterpart.always(acts.server_error)
    for password in ("one", "two", "three"):
        with pytest.raises(UpstreamUnavailable):
            await StaffManagement(http).authenticate("NV001", password)
    counterpart.always(says(STAFF | {"staff_id": "NV002"}))
    assert (await StaffManagement(http).authenticate("NV002", "x")).staff.staff_id == "NV002"


@pytest.mark.parametrize(
    "name", ["NV 1600", "", "../NV1600", "đ", "N" * 65, "NV\x001600"], ids=ascii
)
async def test_an_impossible_staff_number_is_refused_unsent(
    name: str, http: Upstream, counterpart: Counterpart
) -> None:
    with pytest.raises(InvalidCredentials):
        await StaffManagement(http).authenticate(name, "x")
    assert counterpart.seen == []


async def test_two_bills_that_differ_only_in_case_are_refused(
    http: Upstream, counterpart: Counterpart
) -> None:
    bill = {
        "bill_number": "U1",
        "period_from": "2025-06-01",
        "period_to": "2025-06-30",
        "amount": 1,
        "content": "x",
        "issue_date": "2025-07-01",
        "status": "unpaid",
    }
    bills = [bill, bill | {"bill_number": "u1"}]
    counterpart.always(says({"contract_number": "SGFDN9", "bills": bills}))
    with pytest.raises(UpstreamUnavailable):
        await Revenue(http).bills("SGFDN9")
    assert state(http) == (BreakerState.CLOSED, 0)


# ── gateways ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=DIALECTS, ids=lambda dialect: dialect.name)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    return request.param


@pytest.fixture
def gateway(dialect: Dialect, http: Upstream) -> RefundingGateway:
    gateway = dialect.gateway(http)
    assert isinstance(gateway, RefundingGateway)
    return gateway


async def start(gateway: Gateway, contract: str, reference: str = REFERENCE) -> GatewayResult:
    """Start a payment of the contract."""
    purchase = replace(ORDER, description=f"Thanh toan hop dong {contract}")
    requested = replace(attempt(gateway.name), reference=reference)
    return (await gateway.start(requested, purchase, now=NOW)).result


async def test_failures_about_one_contract_leave_the_gateway_ready(
    gateway: RefundingGateway, dialect: Dialect, counterpart: Counterpart
) -> None:
    counterpart.will(*[acts.server_error] * 8)
    for number in range(8):
        assert await start(gateway, "SGFDN2000", f"MB{number}") is GatewayResult.UNKNOWN
        assert gateway.ready()
        assert gateway.retry_after_ms() is None
    counterpart.always(dialect.decline())
    assert await start(gateway, "SGFDN2001") is GatewayResult.DECLINED


async def test_failures_about_two_contracts_stop_payments(
    gateway: RefundingGateway, counterpart: Counterpart
) -> None:
    counterpart.always(acts.server_error)
    for number in range(5):
        await start(gateway, CONTRACTS[number % 2], f"MB{number}")
    assert not gateway.ready()
    retry_after_ms = gateway.retry_after_ms()
    assert retry_after_ms is not None
    assert 0 < retry_after_ms <= 15_000
    with pytest.raises(GatewayUnavailable) as refusal:
        await start(gateway, "SGFDN2002")
    assert refusal.value.retry_after_ms


async def test_an_unreachable_gateway_is_avoided_once_two_contracts_have_failed(
    gateway: RefundingGateway, counterpart: Counterpart
) -> None:
    await counterpart.close()
    for reference in ("MB1", "MB2"):  # four attempts each
        assert await start(gateway, "SGFDN2000", reference) is GatewayResult.NOT_CONNECTED
    assert gateway.ready()
    with pytest.raises(GatewayUnavailable):
        await start(gateway, "SGFDN2001", "MB3")
    assert not gateway.ready()


REFUSAL_OF_ALL_GATEWAYS = {
    "error": {"code": "NO", "message": "no", "type": "invalid_request_error"},
    "name": "NO",
    "message": "no",
    "details": [],
    "resultCode": 99,
}


async def test_answers_about_others_and_refusals_stop_no_calls(
    gateway: RefundingGateway, dialect: Dialect, http: Upstream, counterpart: Counterpart
) -> None:
    for number in range(6):
        counterpart.always(dialect.inquiry_answer("paid", reference="MB_ANOTHER"))
        await inquire(gateway, number)
        counterpart.always(
            dialect.refund_answer(reversal(gateway.name).gateway_money.amount)
        )  # of REFUND
        await refund(gateway, dialect, number)
        counterpart.always(dialect.decline())
        await start(gateway, CONTRACTS[number], f"MB{number}")
    assert {health.state for health in http.snapshot()} == {BreakerState.CLOSED}
    for status in (400, 401, 403, 404, 409, 422, 429):
        counterpart.always(says(REFUSAL_OF_ALL_GATEWAYS, status))
        for number in range(2):
            await inquire(gateway, number)
            await refund(gateway, dialect, number)
            await inquire_refund(gateway, dialect, number)
            await start(gateway, CONTRACTS[number], f"MB{number}")
    assert {health.state for health in http.snapshot()} == {BreakerState.CLOSED}


async def inquire(gateway: Gateway, number: int) -> None:
    await gateway.inquire(replace(attempt(gateway.name), reference=f"MB{number}"), now=NOW)


async def refund(gateway: RefundingGateway, dialect: Dialect, number: int) -> None:
    await gateway.refund(*payment_and_reversal(gateway, dialect, number), whole=False, now=NOW)


async def inquire_refund(gateway: RefundingGateway, dialect: Dialect, number: int) -> None:
    await gateway.inquire_refund(*payment_and_reversal(gateway, dialect, number), known=(), now=NOW)


def payment_and_reversal(
    gateway: Gateway, dialect: Dialect, number: int
) -> tuple[Attempt, Reversal]:
    reference = f"MB{number}"
    paid = replace(attempt(gateway.name), reference=reference, gateway_id=dialect.gateway_id)
    return paid, replace(reversal(gateway.name), id=f"REV_{number}", reference=reference)


# ── every adapter ────────────────────────────────────────────────────────────────────────────────


def test_every_request_of_an_adapter_names_its_subject() -> None:
    requests = [
        (f"{path.name}:{node.lineno}", {keyword.arg for keyword in node.keywords})
        for path in sorted(INTEGRATIONS.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Request"
    ]
    assert len(requests) > 20
    assert [place for place, arguments in requests if "subject" not in arguments] == []
