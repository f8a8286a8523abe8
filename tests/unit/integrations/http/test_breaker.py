"""The breaker, with a clock of the test's own."""

import pytest
from prometheus_client import REGISTRY

from integrations.http.breaker import Breaker, BreakerState


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def broken(clock: Clock) -> Breaker:
    breaker = Breaker("them", "start", open_for=15, clock=clock)
    for _ in range(5):
        assert breaker.enter()
        breaker.record_failure("silence", 0.1)
    return breaker


def test_four_failures_in_a_row_leave_it_closed() -> None:
    breaker = Breaker("them", "start")
    for _ in range(4):
        breaker.record_failure("silence", 0.1)
    assert breaker.state is BreakerState.CLOSED
    assert breaker.enter()


def test_a_success_between_failures_starts_the_count_anew() -> None:
    breaker = Breaker("them", "start")
    for _ in range(4):
        breaker.record_failure("silence", 0.1)
    breaker.record_success(0.1)
    for _ in range(4):
        breaker.record_failure("silence", 0.1)
    assert breaker.state is BreakerState.CLOSED


def test_after_five_failures_in_a_row_nobody_is_let_through() -> None:
    breaker = broken(Clock())
    assert breaker.state is BreakerState.OPEN
    assert not breaker.ready
    assert not breaker.enter()
    assert breaker.retry_after == 15


def test_half_open_it_lets_one_probe_in_at_a_time() -> None:
    clock = Clock()
    breaker = broken(clock)
    clock.now += 15
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.enter()
    assert not breaker.enter()
    assert not breaker.ready


def test_a_probe_that_succeeds_closes_it() -> None:
    clock = Clock()
    breaker = broken(clock)
    clock.now += 15
    breaker.enter()
    breaker.record_success(0.1)
    assert breaker.state is BreakerState.CLOSED
    assert breaker.enter()
    assert breaker.enter()


def test_a_probe_that_fails_opens_it_for_the_whole_time_again() -> None:
    clock = Clock()
    breaker = broken(clock)
    clock.now += 15
    breaker.enter()
    breaker.record_failure("silence", 0.1)
    assert breaker.state is BreakerState.OPEN
    clock.now += 14.9
    assert not breaker.enter()
    clock.now += 0.2
    assert breaker.enter()


def test_a_probe_whose_caller_gave_up_makes_room_for_another() -> None:
    clock = Clock()
    breaker = broken(clock)
    clock.now += 15
    breaker.enter()
    breaker.release_probe()
    assert breaker.enter()


def test_its_health_can_be_shown() -> None:
    clock = Clock()
    breaker = broken(clock)
    clock.now += 15
    breaker.enter()
    breaker.record_success(0.5)
    health = breaker.health()
    assert (health.system, health.operation, health.state) == ("them", "start", "CLOSED")
    assert (health.calls, health.errors, health.failures_in_a_row) == (6, 5, 0)
    assert health.p95_ms == 500
    assert health.last_error == "silence"
    assert health.last_success_at
    assert health.last_failure_at
    assert health.open_until is None
    assert broken(Clock()).health().open_until


def test_prometheus_sees_it_open() -> None:
    broken(Clock())
    labels = {"system": "them", "operation": "start"}
    assert REGISTRY.get_sample_value("mobinet_breaker_state", labels) == 2


# ── what fails by itself shuts nobody else out ───────────────────────────────────────────────────


def fails(breaker: Breaker, *subjects: str | None) -> None:
    for subject in subjects:
        breaker.record_failure("silence", 0.1, subject)


@pytest.mark.parametrize("times", [5, 6, 500])
def test_what_fails_alone_leaves_it_closed_however_often(times: int) -> None:
    breaker = Breaker("them", "start")
    fails(breaker, *["SGFDN1015"] * times)
    assert breaker.state is BreakerState.CLOSED
    assert breaker.enter("SGFDN1015")
    assert breaker.enter("SGFDN2001")
    assert breaker.health().failures_in_a_row == times


@pytest.mark.parametrize("subjects", ["AAAAB", "ABBBB", "ABABA", "ABCDE", "AAAAAAAAB"])
def test_five_failures_about_two_subjects_open_it(subjects: str) -> None:
    breaker = Breaker("them", "start")
    fails(breaker, *subjects[:-1])
    assert breaker.state is BreakerState.CLOSED
    fails(breaker, subjects[-1])
    assert breaker.state is BreakerState.OPEN
    assert not any(breaker.enter(subject) for subject in "ABF")


def test_four_failures_about_four_subjects_leave_it_closed() -> None:
    breaker = Breaker("them", "start")
    fails(breaker, *"ABCD")
    assert breaker.state is BreakerState.CLOSED


def test_a_success_forgets_whose_failures_there_were() -> None:
    breaker = Breaker("them", "start")
    fails(breaker, *"AB")
    breaker.record_success(0.1)
    fails(breaker, *"AAAAA")
    assert breaker.state is BreakerState.CLOSED


def test_failures_without_a_subject_do_not_make_one_subject_two() -> None:
    breaker = Breaker("them", "start")
    fails(breaker, "A", None, "A", None, "A", None, "A", None, "A")
    assert breaker.state is BreakerState.CLOSED
    fails(breaker, None)
    assert breaker.state is BreakerState.OPEN


def half_open(clock: Clock) -> Breaker:
    """Return a breaker that B, last of all, has failed, and whose time is over."""
    breaker = Breaker("them", "start", open_for=15, clock=clock)
    fails(breaker, *"AAAAB")
    clock.now += 15
    assert breaker.state is BreakerState.HALF_OPEN
    return breaker


def test_a_probe_that_fails_again_about_the_same_holds_off_that_alone() -> None:
    clock = Clock()
    breaker = half_open(clock)
    assert breaker.enter("B")
    fails(breaker, "B")
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.ready
    assert not breaker.enter("B")
    assert breaker.seconds_until_ready("B") == 15
    assert breaker.seconds_until_ready("C") == 0
    assert breaker.enter("C")
    breaker.record_success(0.1)
    assert breaker.state is BreakerState.CLOSED
    assert breaker.enter("B")


def test_what_is_held_off_may_probe_when_its_time_is_over() -> None:
    clock = Clock()
    breaker = half_open(clock)
    breaker.enter("B")
    fails(breaker, "B")
    clock.now += 14.9
    assert not breaker.enter("B")
    clock.now += 0.2
    assert breaker.enter("B")


def test_a_probe_about_another_subject_that_fails_opens_it_again() -> None:
    clock = Clock()
    breaker = half_open(clock)
    assert breaker.enter("C")
    fails(breaker, "C")
    assert breaker.state is BreakerState.OPEN
    assert not breaker.enter("D")
    assert breaker.seconds_until_ready("D") == 15


def test_a_probe_without_a_subject_that_fails_opens_it_again() -> None:
    clock = Clock()
    breaker = half_open(clock)
    assert breaker.enter()
    fails(breaker, None)
    assert breaker.state is BreakerState.OPEN


def test_what_fails_late_while_it_is_open_does_not_keep_it_open_alone() -> None:
    clock = Clock()
    breaker = Breaker("them", "start", open_for=15, clock=clock)
    fails(breaker, *"AAAAB")
    clock.now += 10
    fails(breaker, "B")
    clock.now += 5
    assert breaker.state is BreakerState.HALF_OPEN


def test_it_keeps_no_subject() -> None:
    breaker = Breaker("them", "start")
    fails(breaker, *(f"SGFDN{number}" for number in range(1000)))
    assert "SGFDN" not in repr(vars(breaker))
