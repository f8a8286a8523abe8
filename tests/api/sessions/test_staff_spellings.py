"""Every spelling of a staff number means one member of staff, in every use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from integrations.http.client import Upstream
from integrations.systems.staff import StaffManagement
from tests.support.gateways.counterpart import Counterpart, Seen, says
from tests.support.requests.spelling import SPELLINGS, found, spelled, wide
from tests.support.running_api import Api, Sandbox, key

pytest_plugins = ["tests.support.running_api"]

MAX_GUESSES = 10  # a minute, from one address at one name

LOGIN = (
    "mutation ($input: LoginInput!) { login(input: $input) { session { expiresAt }"
    " errors { code } } }"
)
ME = "query { me { staffId } }"
DAY = "query ($staff: ID!, $day: Date!) { dayClose(staffId: $staff, date: $day) { collected } }"
LIMITS = "query ($staff: ID!) { limits(staffId: $staff) { kind used } }"
HAND_INS = (
    "query ($staff: ID!) { handIns(staffId: $staff) { edges { node { staff { staffId } } } } }"
)
SUBMIT = """
mutation ($input: HandInInput!) { submitHandIn(input: $input) {
  handIn { expectedAmount staff { staffId } } errors { code } } }
"""


def log_in(api: Api, staff_id: str, password: str = "a guess") -> str:
    """Log in; return `in` or the code of the refusal."""
    answer = api.execute(LOGIN, {"input": {"staffId": staff_id, "password": password}})
    if answer.get("errors"):
        return answer["errors"][0]["extensions"]["code"]
    payload = answer["data"]["login"]
    return "in" if payload["session"] else payload["errors"][0]["code"]


def today(api: Api) -> str:
    (row,) = api.rows("select (now() at time zone 'Asia/Ho_Chi_Minh')::date as today")
    return str(row["today"])


@pytest.fixture
def staff_system(api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counterpart]:
    """Replace Staff Management by a counterpart that accepts every login."""
    counterpart = Counterpart()
    api.run(counterpart.open())
    http = Upstream("staff", counterpart.url)

    def known(seen: Seen) -> dict[str, Any]:
        number = seen.json["staff_id"] if seen.body else seen.path.rsplit("/", 1)[1]
        return {
            "staff_id": number.strip().upper(),
            "name": "Somebody",
            "role": "TIN_PNC",
            "payment_limits": {
                "daily_limit": 10_000_000,
                "per_transaction_limit": 5_000_000,
                "used_today": 0,
            },
            "permissions": ["payment_processing"],
        }

    counterpart.always(says(known))
    management: StaffManagement = api.context.staff_management
    monkeypatch.setattr(management, "_http", http)
    yield counterpart
    api.run(http.aclose())
    api.run(counterpart.close())


@spelled
def test_staff_management_receives_the_normalised_number_and_the_unchanged_password(
    api: Api, staff_system: Counterpart, spell: Any
) -> None:
    staff_id, password = api.collector(), f" {wide('abc')}\u200bXyz "
    session = api.login(spell(staff_id), password)
    assert session["staff"]["staffId"] == staff_id
    assert staff_system.seen[0].json == {"staff_id": staff_id, "password": password}
    assert len(staff_system.seen) == 1


@spelled
def test_two_spellings_of_a_member_of_staff_are_one(api: Api, spell: Any) -> None:
    staff_id = api.collector()
    token = api.login(spell(staff_id), f"mobinet{staff_id}")["accessToken"]
    api.login(staff_id)
    assert api.get(ME, token=token) == {"staffId": staff_id}
    (owners,) = api.rows(
        "select count(*), count(distinct staff) as staff from session where staff = $1", staff_id
    )
    assert (owners["count"], owners["staff"]) == (2, 1)
    limits = api.rows(
        "select staff, kind from staff_limit where upper(staff) like '%' || $1 || '%'", staff_id
    )
    assert sorted(row["kind"] for row in limits) == ["CASH_IN_HAND", "DAILY", "PER_TRANSACTION"]
    actors = api.rows(
        (
            "select distinct actor from audit_event where action = 'login' and actor ilike '%'"
            " || $1 || '%'"
        ),
        staff_id,
    )
    assert [row["actor"] for row in actors] == [staff_id]


def test_a_login_in_another_spelling_opens_no_breaker(api: Api) -> None:
    staff_id = api.collector()
    for spell in SPELLINGS.values():
        api.login(spell(staff_id), f"mobinet{staff_id}")
    health = {report.operation: report for report in api.context.staff_management._http.snapshot()}
    assert health["authenticate"].failures_in_a_row == 0
    assert health["authenticate"].errors == 0


def test_a_password_is_never_trimmed(api: Api) -> None:
    staff_id = api.collector()
    for password in (f"mobinet{staff_id} ", f" mobinet{staff_id}", wide(f"mobinet{staff_id}")):
        assert log_in(api, staff_id, password) == "INVALID_CREDENTIALS"


def test_guesses_at_every_spelling_of_a_number_are_guesses_at_one(
    api: Api, sandbox: Sandbox
) -> None:
    staff_id = api.collector()
    spellings = list(SPELLINGS.values())[:MAX_GUESSES]
    assert len(spellings) == MAX_GUESSES
    for spell in spellings:
        assert log_in(api, spell(staff_id)) == "INVALID_CREDENTIALS"
    last = sandbox.last_request
    assert log_in(api, staff_id) == "RATE_LIMITED"
    assert log_in(api, f"{staff_id}\u2060") == "RATE_LIMITED"
    assert sandbox.requests("staff", since=last) == []
    rows = api.rows(
        "select details from audit_event where action = 'login' and outcome = 'REFUSED'"
        " and details::text ilike '%' || $1 || '%'",
        staff_id,
    )
    assert {json.loads(row["details"])["who"] for row in rows} == {staff_id}
    assert len(rows) == MAX_GUESSES


@spelled
def test_the_office_finds_a_member_of_staff_by_any_spelling(
    api: Api, sandbox: Sandbox, spell: Any
) -> None:
    staff_id = api.collector()
    paid = api.new_payment(staff_id)
    token, day = api.token("FI001"), today(api)
    variables = {"staff": spell(staff_id)}
    assert api.get(DAY, variables | {"day": day}, token=token)["collected"] == paid["amount"]
    used = {limit["kind"]: limit["used"] for limit in api.get(LIMITS, variables, token=token)}
    assert used["DAILY"] == paid["amount"]
    assert found(api, staffId=spell(staff_id)) == [paid["id"]]
    given = {"idempotencyKey": key(), "countedAmount": paid["amount"]}
    handed = api.get(SUBMIT, {"input": given}, token=api.token(staff_id))["handIn"]
    assert handed == {"expectedAmount": paid["amount"], "staff": {"staffId": staff_id}}
    page = api.get(HAND_INS, variables, token=token)
    assert [edge["node"]["staff"]["staffId"] for edge in page["edges"]] == [staff_id]


@spelled
def test_a_member_of_staff_who_never_logged_in_is_looked_up_by_their_number(
    api: Api, sandbox: Sandbox, spell: Any
) -> None:
    staff_id, last = api.collector(), sandbox.last_request
    api.get(LIMITS, {"staff": spell(staff_id)}, token=api.token("FI001"))
    paths = {call["path"] for call in sandbox.requests("staff", since=last)}
    assert paths == {f"/api/staff/{staff_id}"}
    rows = api.rows("select staff from staff_limit where staff ilike '%' || $1 || '%'", staff_id)
    assert {row["staff"] for row in rows} == {staff_id}


def test_a_collector_reads_their_own_day_and_limits_by_any_spelling(api: Api) -> None:
    staff_id = api.collector()
    token = api.token(staff_id)
    for spell in SPELLINGS.values():
        assert api.get(LIMITS, {"staff": spell(staff_id)}, token=token)
        assert api.get(DAY, {"staff": spell(staff_id), "day": today(api)}, token=token)


def test_a_program_whose_name_is_in_small_letters_is_still_found(api: Api) -> None:
    form = {"grant_type": "client_credentials", "client_id": "shop", "client_secret": "shop-secret"}
    shop = api.http.post("/oauth/token", data=form).json()["access_token"]
    answer = api.http.post(
        "/payments",
        json={"order_id": key(), "amount": 120_000, "method": "vnpay_qr"},
        headers={"authorization": f"Bearer {shop}"},
    )
    payment_id = answer.json()["transaction_id"]
    for name in ("shop", " shop\u200b"):
        assert payment_id in found(api, staffId=name)
        close = api.get(DAY, {"staff": name, "day": today(api)}, token=api.token("FI001"))
        assert close == {"collected": 0}
