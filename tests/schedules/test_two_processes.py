"""
A process dies at any step while another is at work on the same payment: the money is right.

`make crash` kills at each step of the first, at three points of the second; `make test` draws some.
"""

from __future__ import annotations

import pytest

from tests.schedules.laboratory import Meeting
from tests.schedules.two_processes import FLOW_OF, TwoProcesses
from tests.support.proof import ALL, REPEAT, dice, share

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio

MEETINGS = (
    ("unpaid bill", "cash", "qr"),
    ("unpaid bill", "qr", "cash"),
    ("paid QR", "webhook", "inquiry"),
    ("paid QR", "inquiry", "webhook"),
    ("paid QR", "expire", "webhook"),
    ("paid QR", "settle", "webhook"),
    ("open QR", "cancel", "expire"),
    ("held cash", "void", "hand in"),
    ("held cash", "hand in", "void"),
    ("success by QR", "refund", "refund"),
    ("cancelled, then paid", "webhook", "cash"),
    ("half decided case", "resolve", "webhook"),
)
DRAWN_MEETINGS = 2
DRAWN_KILLS = 8  # of each drawn meeting


def test_every_operation_is_killed() -> None:
    assert {first for _, first, _ in MEETINGS} == FLOW_OF.keys()


@pytest.mark.parametrize(
    ("situation", "first", "second"), share(MEETINGS, DRAWN_MEETINGS, "two processes")
)
async def test_a_kill_beside_a_second_process_loses_no_money(
    two_processes: TwoProcesses, situation: str, first: str, second: str
) -> None:
    meeting = Meeting(situation, (first, second))
    kills = share(await two_processes.kills(meeting), DRAWN_KILLS, "kills", str(meeting))
    killed = [await two_processes.kill(meeting, kill, point) for kill, point in kills]
    drawn = dice("repeats", str(meeting))
    unclaimed = await two_processes.recover(
        killed, repeated=[each for each in killed if drawn.random() < 0.5]
    )
    wrong = [f"{each}: {each.wrong[0]}" for each in killed if each.wrong] + unclaimed
    died = sum(each.died for each in killed)
    waited = sum(each.waited for each in killed)
    print(
        f"\n{meeting}: {len(kills)} kills, {died} before its end, {waited} after a wait,"
        f" {len(wrong)} violations{'' if ALL else f', {REPEAT}'}"
    )
    assert wrong == [], REPEAT
    assert died > 0
