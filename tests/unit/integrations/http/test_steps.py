"""The steps of a call over a transport that fails in a given order."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.http.calls import Call
from integrations.http.client import Upstream
from integrations.http.failures import NotConnected, TransportError, Unanswered
from integrations.http.messages import Answer
from tests.support.raw.upstream import call


class Scripted:
    """Fails as often as *sent* has members, each saying whether the request was sent."""

    def __init__(self, *sent: bool) -> None:
        self.sent = list(sent)
        self.calls: list[Call] = []

    def __call__(self, url: str, **options: Any) -> Scripted:
        return self

    async def exchange(self, call: Call) -> Answer:
        self.calls.append(call)
        assert not call.progress.sent, "each try starts anew"
        if not self.sent:
            return Answer(200, b"{}")
        call.progress.sent = self.sent.pop(0)
        raise TransportError("scripted")

    async def aclose(self) -> None: ...


@pytest.mark.parametrize(
    ("sent", "repeatable", "failure"),
    [
        ([False] * 4, False, NotConnected),
        ([False] * 4, True, NotConnected),
        ([False, True], False, Unanswered),
        ([True], False, Unanswered),
        ([True, False, False, False], True, Unanswered),
        ([False, True, False, False], True, Unanswered),
        ([False, False, False, True], True, Unanswered),
    ],
)
async def test_a_call_is_not_connected_only_if_no_try_was_sent(
    sent: list[bool], repeatable: bool, failure: type[Exception]
) -> None:
    transport = Scripted(*sent)
    with pytest.raises(failure):
        await call(Upstream("scripted", "", transport=transport), repeatable=repeatable)
    assert (len(transport.calls), transport.sent) == (len(sent), [])


@pytest.mark.parametrize("sent", [[], [False], [False] * 3])
async def test_a_call_that_was_not_sent_is_retried(sent: list[bool]) -> None:
    transport = Scripted(*sent)
    assert (await call(Upstream("scripted", "", transport=transport))).ok
    assert len(transport.calls) == len(sent) + 1


async def test_all_tries_have_one_deadline() -> None:
    transport = Scripted(False, False)
    await call(Upstream("scripted", "", transport=transport))
    assert len({call.deadline for call in transport.calls}) == 1
