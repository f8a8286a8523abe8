"""HiFPT and the SMS gateway send each message once, or refuse it."""

from __future__ import annotations

from typing import Any

import pytest

MESSAGE = {
    "message_type": "payment_confirmation",
    "recipients": ["0987654321", "0987654322"],
    "template_id": "PAY_CONFIRM_01",
    "data": {
        "customer_name": "Nguyen Van A",
        "amount": 200_000,
        "contract_number": "SGFDN1015",
        "transaction_id": "TXN_1",
        "confirmation_link": "https://fpt.vn/pay/x",
    },
}
TEXT = {
    "recipient": "0987654322",
    "message": "Cam on ban da thanh toan 200.000d. Ma GD TXN_1-a",
    "sender_id": "FPT_TELECOM",
}


def test_hifpt_answers_for_each_recipient(ask: Any, truth: Any) -> None:
    for _ in range(2):
        response = ask("hifpt").post("/api/messages", MESSAGE, "N1")
        results = {line["recipient"]: line["status"] for line in response.json()["results"]}
        assert results == {"0987654321": "sent", "0987654322": "rejected"}
    [message] = truth()["messages"]
    del message["message"]
    assert message == {
        "system": "hifpt",
        "recipient": "0987654321",
        "template": "PAY_CONFIRM_01",
        "transaction_id": "TXN_1",
        "times": 1,
    }


def test_a_message_that_is_sent_twice_counts_twice(ask: Any, truth: Any) -> None:
    for key in ("N1", "N2"):
        ask("hifpt").post("/api/messages", MESSAGE, key)
    assert [line["times"] for line in truth()["messages"]] == [2]


def test_hifpt_reaches_the_numbers_that_customer_management_marks(ask: Any) -> None:
    for serial in range(6):
        customer = ask("customer").get(f"/api/customers/SGFDN{2000 + serial}").json()
        phone = customer["phone_numbers"][0]
        for number in (phone["number"], f"+84{phone['number'][1:]}"):
            message = MESSAGE | {"recipients": [number]}
            [line] = ask("hifpt").post("/api/messages", message, number).json()["results"]
            assert (line["status"] == "sent") is phone["has_hifpt"]


def test_an_sms_is_listed_under_the_transaction_in_its_text(ask: Any, truth: Any) -> None:
    for _ in range(2):
        answer = ask("sms").post("/api/send", TEXT, "N1").json()
        assert answer["status"] == "sent"
        assert answer["message_id"]
    [message] = truth()["messages"]
    assert (message["system"], message["transaction_id"], message["times"]) == ("sms", "TXN_1-a", 1)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"recipient": "02838383838"}, "INVALID_RECIPIENT"),
        ({"recipient": "19001000"}, "INVALID_RECIPIENT"),
        ({"sender_id": "SOMEBODY"}, "UNKNOWN_SENDER"),
        ({"message": "Cảm ơn bạn"}, "MESSAGE_NOT_PLAIN"),
        ({"message": "a" * 460}, "MESSAGE_TOO_LONG"),
        ({"message": ""}, "INVALID_INPUT"),
    ],
)
def test_a_text_that_carriers_reject_is_refused(
    ask: Any, truth: Any, changes: dict[str, str], expected: str
) -> None:
    response = ask("sms").post("/api/send", TEXT | changes, "N1")
    assert (response.status_code, response.json()["error"]["code"]) == (422, expected)
    assert truth()["messages"] == []
