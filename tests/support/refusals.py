"""Checks of refusals: both languages, and no effect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.running_api import Api, Sandbox

VIETNAMESE = set("àáảãạăằắẳẵặâầấẩẫậèéẻẽẹêềếểễệìíỉĩịòóỏõọôồốổỗộơờớởỡợùúủũụưừứửữựỳýỷỹỵđ")
BILL = "U23SG0073526"
KNOWN = {"contractNumber": "SGFDN1015", "items": [{"type": "BILL", "id": BILL, "amount": 200_000}]}

both_languages = pytest.mark.parametrize("language", ["vi", "en"])


def warm(api: Api) -> None:
    """Log in the staff of the tests, so that their rows and limits exist before the check."""
    for staff_id in ("NV001", "NV002", "SV001"):
        api.get("query { me { limits { kind } } }", token=api.token(staff_id))


@contextmanager
def without_effect(api: Api, sandbox: Sandbox, *, audit: int) -> Iterator[None]:
    """Check that only *audit* audit rows were added and that no gateway was called."""
    before, last_request = api.dump(), sandbox.last_request
    yield
    after = api.dump()
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed <= {"audit_event"}, {name: _diff(before, after, name) for name in changed}
    assert (after["audit_event"] - before["audit_event"]).total() == audit
    assert before["audit_event"] <= after["audit_event"]
    gateway_requests = [
        request
        for request in sandbox.requests(since=last_request)
        if request["system"] in {"vnpay", "fpt_pay"}
    ]
    assert gateway_requests == []


def _diff(
    before: dict[str, Counter[str]], after: dict[str, Counter[str]], name: str
) -> tuple[int, int]:
    return (before[name] - after[name]).total(), (after[name] - before[name]).total()


def check_sentence(message: str, language: str) -> None:
    """Check that the message is a sentence of this language without placeholders."""
    assert message[0].isupper() or message.split(":")[0].isidentifier() or "." in message
    assert "{" not in message
    assert "None" not in message
    has_marks = bool(VIETNAMESE & set(message.lower().replace("đồng", "")))
    assert has_marks is (language == "vi"), message


def check_top(answer: dict[str, Any], code: str, language: str = "vi") -> None:
    """Check that the answer has top-level errors with this code alone."""
    codes = [error["extensions"]["code"] for error in answer["errors"]]
    assert codes, answer
    assert set(codes) == {code}, answer
    if code not in {"BAD_USER_INPUT"}:
        check_sentence(answer["errors"][0]["message"], language)
