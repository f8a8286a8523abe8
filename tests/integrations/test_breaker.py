"""The breaker, with a clock of the test's own."""

from prometheus_client import REGISTRY

from integrations.breaker import Breaker, BreakerState


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def broken(clock: Clock) -> Breaker:
    breaker = Breaker("them", "start", threshold=5, open_for=15, clock=clock)
    for _ in range(5):
        assert breaker.enter()
        breaker.failed("silence", 0.1)
    return breaker


def test_four_failures_in_a_row_leave_it_closed() -> None:
    breaker = Breaker("them", "start")
    for _ in range(4):
        breaker.failed("silence", 0.1)
    assert breaker.state is BreakerState.CLOSED
    assert breaker.enter()


def test_a_success_between_failures_starts_the_count_anew() -> None:
    breaker = Breaker("them", "start")
    for _ in range(4):
        breaker.failed("silence", 0.1)
    breaker.succeeded(0.1)
    for _ in range(4):
        breaker.failed("silence", 0.1)
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
    breaker.succeeded(0.1)
    assert breaker.state is BreakerState.CLOSED
    assert breaker.enter()
    assert breaker.enter()


def test_a_probe_that_fails_opens_it_for_the_whole_time_again() -> None:
    clock = Clock()
    breaker = broken(clock)
    clock.now += 15
    breaker.enter()
    breaker.failed("silence", 0.1)
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
    breaker.abandoned()
    assert breaker.enter()


def test_its_health_can_be_shown() -> None:
    clock = Clock()
    breaker = broken(clock)
    clock.now += 15
    breaker.enter()
    breaker.succeeded(0.5)
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
