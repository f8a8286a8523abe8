"""What each role may do, and whose records it sees."""

from __future__ import annotations

import pytest

from domain.staff import (
    PERMISSION_FOR,
    ROLES_FOR,
    Actor,
    Forbidden,
    Operation,
    Permission,
    Role,
    Unauthenticated,
    check,
    scope,
)

EVERY_PERMISSION = tuple(permission.value for permission in Permission)

TABLE = """
                    TIN_PNC SUPERVISOR CASHIER FINANCE ADMIN AUDITOR MERCHANT SERVICE
READ_CUSTOMER       may     may        -       may     may   may     -        -
READ_PAYMENT        may     may        may     may     may   may     may      may
READ_LIMIT          may     may        may     may     may   may     -        may
COLLECT             may     may        -       -       -     -       -        -
FOLLOW_UP           may     may        -       may     may   -       may      -
CANCEL              may     may        -       -       may   -       may      -
SUBMIT_HAND_IN      may     may        -       -       -     -       -        -
CONFIRM_HAND_IN     -       -          may     -       -     -       -        -
READ_HAND_INS       may     may        may     may     may   may     -        may
READ_DAY_CLOSE      may     may        may     may     may   may     -        may
READ_LEDGER         -       -          -       may     may   may     -        may
READ_INVARIANTS     -       -          -       may     may   may     -        may
READ_TIMELINE       -       may        -       may     may   may     -        may
SELL                -       -          -       -       -     -       may      -
READ_ORDER          -       -          -       may     may   may     may      may
READ_WEBHOOKS       -       -          -       may     may   may     -        -
READ_RAW_WEBHOOKS   -       -          -       -       -     may     -        -
REPLAY_WEBHOOK      -       -          -       may     may   -       -        -
READ_CASES          -       may        -       may     may   may     -        may
RESOLVE_CASE        -       -          -       may     -     -       -        -
READ_RECONCILIATION -       -          -       may     may   may     -        may
VOID                may     may        -       -       -     -       -        -
REFUND              -       -          -       may     -     -       -        -
"""


def cells() -> list[tuple[Role, Operation, bool]]:
    heading, *lines = (line.split() for line in TABLE.strip().splitlines())
    assert heading == list(Role)
    assert [line[0] for line in lines] == [operation.name for operation in Operation]
    return [
        (Role(role), Operation[line[0]], cell == "may")
        for line in lines
        for role, cell in zip(heading, line[1:], strict=True)
    ]


def an_actor(role: Role, *, team: str | None = None, **but: object) -> Actor:
    fields = {"id": "NV001", "name": "Bich", "permissions": EVERY_PERMISSION} | but
    return Actor(role=role, team=team, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(("role", "operation", "may"), cells())
def test_a_role_may_do_what_the_table_says(role: Role, operation: Operation, may: bool) -> None:
    actor = an_actor(role)
    if may:
        assert check(actor, operation) is actor
    else:
        with pytest.raises(Forbidden) as forbidden:
            check(actor, operation)
        assert forbidden.value.operation is operation


@pytest.mark.parametrize("operation", Operation)
def test_an_anonymous_actor_is_refused(operation: Operation) -> None:
    with pytest.raises(Unauthenticated):
        check(None, operation)


@pytest.mark.parametrize("operation", PERMISSION_FOR)
@pytest.mark.parametrize("role", Role)
def test_a_role_is_not_enough_where_a_permission_is_needed(
    role: Role, operation: Operation
) -> None:
    without = an_actor(role, permissions=("reason_management",))
    with pytest.raises(Forbidden):
        check(without, operation)


def test_every_operation_has_a_role() -> None:
    assert all(ROLES_FOR[operation] for operation in Operation)


@pytest.mark.parametrize(
    ("actor", "own", "colleagues", "others"),
    [
        (an_actor(Role.TIN_PNC, team="HCM1"), True, False, False),
        (an_actor(Role.MERCHANT), True, False, False),
        (an_actor(Role.SUPERVISOR, team="HCM1"), True, True, False),
        (an_actor(Role.SUPERVISOR, team=None), True, True, True),
        (an_actor(Role.CASHIER), True, True, True),
        (an_actor(Role.FINANCE), True, True, True),
        (an_actor(Role.ADMIN), True, True, True),
        (an_actor(Role.AUDITOR), True, True, True),
        (an_actor(Role.SERVICE), True, True, True),
    ],
    ids=lambda value: f"{value.role}-{value.team}" if isinstance(value, Actor) else "",
)
def test_each_sees_their_own_their_teams_or_everyones(
    actor: Actor, own: bool, colleagues: bool, others: bool
) -> None:
    visible = scope(actor)
    assert visible.covers(staff_id="NV001", team="HCM1") is own
    assert visible.covers(staff_id="NV002", team="HCM1") is colleagues
    assert visible.covers(staff_id="NV1000", team="T00") is others
    assert visible.covers(staff_id="NV1001", team=None) is others
