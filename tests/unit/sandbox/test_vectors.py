"""The sandbox agrees with the published and computed examples."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.bank import emv
from sandbox.vnpay import rules as vnpay_rules
from tests.support.sandbox.vectors import VECTORS

VNPAY = [pytest.param(v, id=v["id"]) for v in VECTORS if v["gateway"] == "vnpay"]
QR = [pytest.param(v, id=v["id"]) for v in VECTORS if v["gateway"] == "emvco_qr"]


@pytest.mark.parametrize("vector", VNPAY)
def test_a_vnpay_example_is_spelled_and_signed_as_printed(vector: dict[str, Any]) -> None:
    secret = vector["secret"].encode()
    if "input" in vector:
        if "field_order" in vector:
            text = vnpay_rules.piped(vector["input"], vector["field_order"])
        else:
            text = vnpay_rules.canonical(vector["input"])
        assert text == vector["canonical"]
    assert vnpay_rules.sign(secret, vector["canonical"]) == vector["expected"]
    presented = vector.get("presented", vector["expected"])
    accepted = vnpay_rules.signed_by_one_of([b"older", secret], vector["canonical"], presented)
    assert accepted is not vector.get("negative", False)
    if accepted:
        assert vnpay_rules.signed_by_one_of([secret], vector["canonical"], presented.upper())


@pytest.mark.parametrize("vector", QR)
def test_a_qr_example_has_the_checksum_that_is_printed(vector: dict[str, Any]) -> None:
    assert emv.crc(vector["canonical"]) == vector["expected"]
    if "payload" in vector:
        assert emv.has_valid_checksum(vector["payload"]) is not vector.get("negative", False)


@pytest.mark.parametrize("vector", [item for item in QR if "outer_tlv_ok" in item.values[0]])
def test_a_qr_example_has_the_fields_of_its_tables(vector: dict[str, Any]) -> None:
    payload = vector["payload"]
    if not vector["outer_tlv_ok"]:
        with pytest.raises(ValueError, match="tag"):
            emv.decode(payload)
        return
    assert emv.decode(payload) == vector["fields"]
    for tag, fields in vector["sub"].items():
        assert emv.decode(vector["fields"][tag]) == fields
    receiver = vector["sub"].get("38", {}).get("01")
    if "inner_tlv_error" in vector:  # a correct checksum, but a wrong length inside
        with pytest.raises(ValueError, match="length"):
            emv.decode(receiver)
    elif "beneficiary" in vector:
        assert emv.decode(receiver) == vector["beneficiary"]


def test_the_fields_of_the_merchant_api_are_in_signing_order() -> None:
    orders = {v["id"]: v["field_order"] for v in VECTORS if "field_order" in v}
    assert list(vnpay_rules.QUERY) == orders["vnpay-querydr-request"]
    assert list(vnpay_rules.REFUND) == orders["vnpay-refund-request"]
    assert orders["vnpay-querydr-response"] == vnpay_rules.QUERY_ANSWER
    assert orders["vnpay-refund-response"] == vnpay_rules.REFUND_ANSWER
