"""The API serves results of the invariant checks from its start, even without a worker."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs

from db.invariants import checks as results
from domain.invariants import InvariantName
from resolvers import invariants
from tests.support.clocks import SetClock
from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api"]

INVARIANTS = "query { invariants { name holds violations checkedAt } }"
# The file of seal heads also has entries of the session's other databases.
OF_THE_DATABASE = [name for name in invariants.ALWAYS if name is not InvariantName.SEALS]


def test_the_first_query_after_the_first_start_is_answered(api: Api) -> None:
    found = api.get(INVARIANTS, token=api.token("AU001"))
    assert [check["name"] for check in found] == list(invariants.ALWAYS)
    assert all(check["holds"] for check in found if check["name"] in OF_THE_DATABASE)
    at = {datetime.fromisoformat(check["checkedAt"]) for check in found}
    assert len(at) == 1


def test_a_later_start_serves_the_last_results(api: Api) -> None:
    before = api.get(INVARIANTS, token=api.token("AU001"))

    async def later() -> datetime:
        return await api.context.clock() + timedelta(hours=1)

    api.run(invariants.check_first(replace(api.context, clock=SetClock(later))))
    assert api.get(INVARIANTS, token=api.token("AU001")) == before


@pytest.mark.parametrize("part", ["latest", "open_check_connection"])
def test_a_failed_check_does_not_stop_a_start(
    api: Api, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    api.rows("delete from invariant")

    def fails() -> None:
        raise results.ChecksIncomplete("the database is away")

    monkeypatch.setattr(results, part, fails)
    with capture_logs() as logs:
        api.run(invariants.check_first(api.context))
    assert [entry["event"] for entry in logs] == ["first_check_failed"]
    monkeypatch.undo()
    api.run(invariants.check_first(api.context))
    assert len(api.get(INVARIANTS, token=api.token("AU001"))) == len(invariants.ALWAYS)
