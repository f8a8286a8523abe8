"""A card number is refused wherever it is sent, has no effect, and is stored nowhere."""

from __future__ import annotations

import io
import json
import logging
import secrets
from contextlib import redirect_stdout
from typing import Any

import pytest
import structlog

from mobinet import logging as logs
from tests.support.running_api import LOGIN, PROCESS, Api, key

pytest_plugins = ["tests.support.running_api"]

PAN = "4242424242424242"
PRINTED = "9704 1985 2619 1432 198"
SPACED = "4242\u00a04242\u00a04242\u00a04242"
CANCEL = (
    'mutation { cancelPayment(id: "TXN_1", reason: "thẻ %s") { errors { code } } }'  # a literal
)


def whole_database(api: Api) -> str:
    """Return all rows of all tables as text, with bytes decoded."""
    tables = api.rows("select tablename from pg_tables where schemaname = 'public'")
    rows = [row for (name,) in tables for row in api.rows(f'select * from "{name}"')]
    return "\n".join(_text(value) for row in rows for value in row.values())


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def refused(answer: dict[str, Any]) -> bool:
    (error,) = answer["errors"]
    text = json.dumps(answer, ensure_ascii=False)
    assert PAN not in text
    return error["extensions"]["code"] == "BAD_USER_INPUT" and "paymentToken" in error["message"]


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize(
    "given",
    [
        {"customerPhone": PAN},
        {"contractNumber": f"SGFDN1015 {PAN}"},
        {"items": [{"type": "BILL", "id": "B", "amount": int(PAN)}]},
        {"items": [{"type": "BILL", "id": "4242-4242-4242-4242", "amount": 1}]},
        {PAN: "a name"},
    ],
    ids=["a text", "within a text", "a number", "as printed", "a name"],
)
def test_a_card_number_among_the_variables_is_refused(
    api: Api, given: dict[str, Any], language: str
) -> None:
    whole = {"idempotencyKey": key(), "contractNumber": "SGFDN1015", "method": "CASH", "items": []}
    token = api.token("NV002")
    before = api.dump()
    answer = api.execute(PROCESS, {"input": whole | given}, token=token, language=language)
    assert refused(answer)
    assert api.dump() == before


def test_a_card_number_in_a_document_is_refused_again_and_again(api: Api) -> None:
    token = api.token("NV002")
    before = api.dump()
    for _ in range(2):
        assert refused(api.execute(CANCEL % PAN, token=token))
    assert refused(api.execute(f"query {{ me {{ staffId }} }} # {PAN}", token=token))
    assert api.dump() == before


@pytest.mark.parametrize(
    "given",
    [{"operationName": PAN}, {"operationName": f"a {PRINTED}"}, {"extensions": {"a": [PAN]}}],
)
def test_a_card_number_beside_a_document_is_refused(api: Api, given: dict[str, Any]) -> None:
    before = api.dump()
    body = {"query": "query { me { staffId } }"} | given
    headers = {"authorization": f"Bearer {api.token('NV002')}"}
    assert refused(api.http.post("/graphql", json=body, headers=headers).json())
    assert api.dump() == before


def test_a_card_number_as_an_idempotency_key_is_refused(api: Api) -> None:
    form = {"grant_type": "client_credentials", "client_id": "shop", "client_secret": "shop-secret"}
    token = api.http.post("/oauth/token", data=form).json()["access_token"]
    headers = {"authorization": f"Bearer {token}", "idempotency-key": PAN}
    body = {"order_id": key(), "amount": 50_000, "method": "vnpay_qr"}
    before = api.dump()
    answer = api.http.post("/payments", json=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_USER_INPUT")
    assert PAN not in answer.text
    assert api.dump() == before


def test_a_card_number_as_the_id_of_a_request_is_stored_nowhere(api: Api) -> None:
    headers = {"authorization": f"Bearer {api.token('NV002')}", "x-request-id": PAN}
    api.http.post("/graphql", json={"query": CANCEL % "cũ"}, headers=headers)
    assert api.rows("select 1 from audit_event where action = 'cancelPayment'")
    assert PAN not in whole_database(api)


def test_a_card_number_as_a_password_is_refused_before_staff_management_is_called(api: Api) -> None:
    assert refused(api.execute(LOGIN, {"input": {"staffId": "NV001", "password": PAN}}))


def test_deeply_nested_input_is_searched_without_a_fault(api: Api) -> None:
    nested: Any = PAN
    for _ in range(400):
        nested = [nested]
    assert refused(api.execute("query { me { staffId } }", {"deep": nested}))


def test_a_card_number_in_a_request_for_a_token_is_refused(api: Api) -> None:
    form = {"grant_type": "client_credentials", "client_id": "dashboard", "client_secret": PAN}
    answer = api.http.post("/oauth/token", data=form)
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_request"})


def test_an_unsigned_call_is_stored_without_its_card_number(api: Api) -> None:
    answer = api.http.post(
        f"/webhooks/fpt-pay?note={PAN}",
        content=json.dumps({"card": PAN, "printed": PRINTED}) + f"note={SPACED}",
        headers={"X-Note": f"card {PAN}", "Content-Type": "application/json"},
    )
    assert answer.status_code == 401
    (row,) = api.rows("select * from webhook_event where headers::text like '%x-note%'")
    assert b"424242******4242" in row["body"]
    stored = whole_database(api)
    assert PAN not in stored
    assert PRINTED not in stored
    assert SPACED not in stored


@pytest.mark.parametrize("env", ["development", "production"])
def test_a_log_shows_no_card_number_however_it_gets_there(env: str) -> None:
    before, factory = structlog.get_config(), logging.getLogRecordFactory()
    quiet = logging.getLogger("pgqueuer").level
    output, handled = io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(handled)
    theirs = logging.getLogger(secrets.token_hex(4))
    theirs.addHandler(handler)
    try:
        with redirect_stdout(output):
            logs.configure(env)  # type: ignore[arg-type]
            ours = structlog.get_logger(secrets.token_hex(4))
            try:
                raise ValueError(f"no such card: {PAN}")
            except ValueError:
                ours.exception("fault", note=f"paid by {PRINTED}")
                theirs.exception("fault %s", PAN)
    finally:
        structlog.configure(**before)
        logging.setLogRecordFactory(factory)
        logging.getLogger("pgqueuer").setLevel(quiet)
    for text in (output.getvalue(), handled.getvalue()):
        assert "fault" in text
        assert "424242******4242" in text
        assert PAN not in text
        assert PRINTED not in text
