"""The circuit breaker, with a clock that the test moves."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from integrations.http.breaker import Breaker, BreakerState


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def open_breaker(clock: Clock) -> Breaker:
    breaker = Breaker("upstream", "start", open_for=15, clock=clock)
    for _ in range(5):
        assert breaker.enter()
        breaker.record_failure("silence", 0.1)
    return breaker


def test_four_failures_in_a_row_leave_it_closed() -> None:
    breaker = Breaker("upstream", "start")
    for _ in range(4):
        breaker.record_failure("silence", 0.1)
    assert breaker.state is BreakerState.CLOSED
    assert breaker.enter()


def test_a_success_between_failures_starts_the_count_anew() -> None:
    breaker = Breaker("upstream", "start")
    for _ in range(4):
        breaker.record_failure("silence", 0.1)
    breaker.record_success(0.1)
    for _ in range(4):
        breaker.record_failure("silence", 0.1)
    assert breaker.state is BreakerState.CLOSED


def test_after_five_failures_in_a_row_no_call_is_let_in() -> None:
    breaker = open_breaker(Clock())
    assert breaker.state is BreakerState.OPEN
    assert not breaker.ready
    assert not breaker.enter()
    assert breaker.retry_after == 15


def test_a_half_open_breaker_lets_in_one_probe_at_a_time() -> None:
    clock = Clock()
    breaker = open_breaker(clock)
    clock.now += 15
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.enter()
    assert not breaker.enter()
    assert not breaker.ready


def test_a_successful_probe_closes_it() -> None:
    clock = Clock()
    breaker = open_breaker(clock)
    clock.now += 15
    breaker.enter()
    breaker.record_success(0.1)
    assert breaker.state is BreakerState.CLOSED
    assert breaker.enter()
    assert breaker.enter()


def test_a_failed_probe_opens_it_for_the_whole_time_again() -> None:
    clock = Clock()
    breaker = open_breaker(clock)
    clock.now += 15
    breaker.enter()
    breaker.record_failure("silence", 0.1)
    assert breaker.state is BreakerState.OPEN
    clock.now += 14.9
    assert not breaker.enter()
    clock.now += 0.2
    assert breaker.enter()


def test_a_probe_whose_caller_gave_up_lets_in_another() -> None:
    clock = Clock()
    breaker = open_breaker(clock)
    clock.now += 15
    breaker.enter()
    breaker.release_probe()
    assert breaker.enter()


def test_its_health_has_counts_and_times() -> None:
    clock = Clock()
    breaker = open_breaker(clock)
    clock.now += 15
    breaker.enter()
    breaker.record_success(0.5)
    health = breaker.health()
    assert (health.system, health.operation, health.state) == ("upstream", "start", "CLOSED")
    assert (health.calls, health.errors, health.failures_in_a_row) == (6, 5, 0)
    assert health.p95_ms == 500
    assert health.last_error == "silence"
    assert health.last_success_at
    assert health.last_failure_at
    assert health.open_until is None
    assert open_breaker(Clock()).health().open_until


def test_prometheus_has_its_state() -> None:
    open_breaker(Clock())
    labels = {"system": "upstream", "operation": "start"}
    assert REGISTRY.get_sample_value("mobinet_breaker_state", labels) == 2


# ── failures about one subject ───────────────────────────────────────────────────────────────────


def record_failures(breaker: Breaker, *subjects: str | None) -> None:
    for subject in subjects:
        breaker.record_failure("silence", 0.1, subject)


@pytest.mark.parametrize("times", [5, 6, 500])
def test_failures_about_one_subject_leave_it_closed(times: int) -> None:
    breaker = Breaker("upstream", "start")
    record_failures(breaker, *["SGFDN1015"] * times)
    assert breaker.state is BreakerState.CLOSED
    assert breaker.enter("SGFDN1015")
    assert breaker.enter("SGFDN2001")
    assert breaker.health().failures_in_a_row == times


@pytest.mark.parametrize("subjects", ["AAAAB", "ABBBB", "ABABA", "ABCDE", "AAAAAAAAB"])
def test_five_failures_about_two_subjects_open_it(subjects: str) -> None:
    breaker = Breaker("upstream", "start")
    record_failures(breaker, *subjects[:-1])
    assert breaker.state is BreakerState.CLOSED
    record_failures(breaker, subjects[-1])
    assert breaker.state is BreakerState.OPEN
    assert not any(breaker.enter(subject) for subject in "ABF")


def test_four_failures_about_four_subjects_leave_it_closed() -> None:
    breaker = Breaker("upstream", "start")
    record_failures(breaker, *"ABCD")
    assert breaker.state is BreakerState.CLOSED


def test_a_success_clears_the_subjects_of_failures() -> None:
    breaker = Breaker("upstream", "start")
    record_failures(breaker, *"AB")
    breaker.record_success(0.1)
    record_failures(breaker, *"AAAAA")
    assert breaker.state is BreakerState.CLOSED


def test_failures_without_a_subject_do_not_count_as_a_second_subject() -> None:
    breaker = Breaker("upstream", "start")
    record_failures(breaker, "A", None, "A", None, "A", None, "A", None, "A")
    assert breaker.state is BreakerState.CLOSED
    record_failures(breaker, None)
    assert breaker.state is BreakerState.OPEN


def half_open_breaker(clock: Clock) -> Breaker:
    """Return a half-open breaker whose last failure was about B."""
    breaker = Breaker("upstream", "start", open_for=15, clock=clock)
    record_failures(breaker, *"AAAAB")
    clock.now += 15
    assert breaker.state is BreakerState.HALF_OPEN
    return breaker


def test_a_failed_probe_about_the_same_subject_delays_only_that_subject() -> None:
    clock = Clock()
    breaker = half_open_breaker(clock)
    assert breaker.enter("B")
    record_failures(breaker, "B")
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.ready
    assert not breaker.enter("B")
    assert breaker.seconds_until_ready("B") == 15
    assert breaker.seconds_until_ready("C") == 0
    assert breaker.enter("C")
    breaker.record_success(0.1)
    assert breaker.state is BreakerState.CLOSED
    assert breaker.enter("B")


def test_a_delayed_subject_may_probe_after_its_delay() -> None:
    clock = Clock()
    breaker = half_open_breaker(clock)
    breaker.enter("B")
    record_failures(breaker, "B")
    clock.now += 14.9
    assert not breaker.enter("B")
    clock.now += 0.2
    assert breaker.enter("B")


def test_a_failed_probe_about_another_subject_opens_it_again() -> None:
    clock = Clock()
    breaker = half_open_breaker(clock)
    assert breaker.enter("C")
    record_failures(breaker, "C")
    assert breaker.state is BreakerState.OPEN
    assert not breaker.enter("D")
    assert breaker.seconds_until_ready("D") == 15


def test_a_failed_probe_without_a_subject_opens_it_again() -> None:
    clock = Clock()
    breaker = half_open_breaker(clock)
    assert breaker.enter()
    record_failures(breaker, None)
    assert breaker.state is BreakerState.OPEN


def test_a_late_failure_while_it_is_open_does_not_prolong_it() -> None:
    clock = Clock()
    breaker = Breaker("upstream", "start", open_for=15, clock=clock)
    record_failures(breaker, *"AAAAB")
    clock.now += 10
    record_failures(breaker, "B")
    clock.now += 5
    assert breaker.state is BreakerState.HALF_OPEN


def test_it_stores_no_subject_in_plain_text() -> None:
    breaker = Breaker("upstream", "start")
    record_failures(breaker, *(f"SGFDN{number}" for number in range(1000)))
    assert "SGFDN" not in repr(vars(breaker))
