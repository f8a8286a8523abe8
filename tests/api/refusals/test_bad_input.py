"""Invalid values of GraphQL types: a message in the caller's language, without the value."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from resolvers import sessions
from tests.support.running_api import LOGIN, PROCESS, Api, key

pytest_plugins = ["tests.support.running_api"]

PAGE = "query ($after: String) { payments(after: $after) { edges { node { id } } } }"
CANCEL = """
mutation ($id: ID!, $reason: String!) { cancelPayment(id: $id, reason: $reason) {
  payment { status } errors { code ... on InvalidInput { field } } } }
"""
PREVIEW = "query ($amount: Amount!) { limitPreview(method: CASH, amount: $amount) { allowed } }"


def on_top(answer: dict[str, Any]) -> tuple[str, str]:
    (error,) = answer["errors"]
    return error["extensions"]["code"], error["message"]


@pytest.mark.parametrize(
    ("change", "vietnamese"),
    [
        ({"method": "BITCOIN"}, "$i.method: không phải là một giá trị của PaymentMethod"),
        ({"idempotencyKey": None}, "$i.idempotencyKey: không được để trống"),
        ({"items": [{"type": "BILL", "id": "B"}]}, "thiếu trường bắt buộc amount"),
    ],
)
def test_an_error_of_the_types_is_in_the_callers_language(
    api: Api, change: dict[str, Any], vietnamese: str
) -> None:
    given = {"idempotencyKey": key(), "contractNumber": "SGFDN1015", "method": "CASH", "items": []}
    for language, words in (("vi", vietnamese), ("en", "Correct it and send")):
        answer = api.execute(
            PROCESS, {"input": given | change}, token=api.token("NV002"), language=language
        )
        code, message = on_top(answer)
        assert code == "BAD_USER_INPUT"
        assert words.replace("$i", "$input") in message


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize(
    "given", [{"password": "sEcReT-1", "otp": "1"}, {"staffId": "NV001", "password": 123456}]
)
def test_the_answer_does_not_repeat_the_input(
    api: Api, given: dict[str, Any], language: str
) -> None:
    text = json.dumps(api.execute(LOGIN, {"input": given}, language=language))
    assert "BAD_USER_INPUT" in text
    assert "sEcReT-1" not in text
    assert "123456" not in text


@pytest.mark.parametrize("reason", ["abc\u0000", "a\nb c", "\u202e evil"])
def test_an_invalid_reason_is_refused_and_cancels_nothing(api: Api, reason: str) -> None:
    payment = api.new_payment(method="VNPAY_QR")
    payload = api.get(CANCEL, {"id": payment["id"], "reason": reason}, token=api.token("NV002"))
    assert payload["errors"] == [{"code": "INVALID_INPUT", "field": "reason"}]
    (row,) = api.rows("select status from payment where id = $1", payment["id"])
    assert row["status"] == "PROCESSING"


def test_a_cursor_outside_of_the_calendar_is_refused(api: Api) -> None:
    parts = ["CREATED_DESC", "0001-01-01T00:00:00+14:00", "x"]
    after = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()
    assert (
        on_top(api.execute(PAGE, {"after": after}, token=api.token("NV002")))[0] == "INVALID_INPUT"
    )


@pytest.mark.parametrize("amount", [0, -5])
def test_a_preview_of_zero_is_refused_like_its_payment(api: Api, amount: int) -> None:
    code, _ = on_top(api.execute(PREVIEW, {"amount": amount}, token=api.token("NV002")))
    assert code == "INVALID_INPUT"


def test_a_key_of_blanks_is_no_key(api: Api) -> None:
    payload = api.process_payment(idempotencyKey=" " * 20)
    assert [error["code"] for error in payload["errors"]] == ["INVALID_INPUT"]


def test_many_correct_logins_of_one_person_at_once_succeed(api: Api) -> None:
    staff_id = api.collector()
    with ThreadPoolExecutor(32) as pool:
        logins = list(pool.map(lambda _: api.login(staff_id), range(32)))
    assert len({login["accessToken"] for login in logins}) == 32


def test_production_refuses_the_published_secret(api: Api) -> None:
    assert api.service_token()
    api.run(
        sessions.revoke_known_secret(api.context, client_id="dashboard", secret="dashboard-secret")
    )
    with pytest.raises(KeyError):
        api.service_token()
