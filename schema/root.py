"""The three roots, and the schema they make. `schema.graphql` is this, printed."""

from __future__ import annotations

import strawberry
from graphql import lexicographic_sort_schema, print_schema

from schema.cases import CaseMutation, CaseQuery
from schema.common import CONFIG, REFUSALS
from schema.customers import CustomerQuery
from schema.day_close import DayCloseQuery
from schema.hand_ins import HandInMutation, HandInQuery
from schema.invariants import InvariantQuery
from schema.ledger import LedgerQuery
from schema.limits import LimitQuery, LimitSubscription
from schema.orders import OrderMutation, OrderQuery
from schema.payment_search import TransactionQuery, TransactionSubscription
from schema.payments import PaymentMutation, PaymentQuery, PaymentSubscription
from schema.reconciliation import ReconciliationQuery
from schema.reversal_commands import ReversalMutation
from schema.sessions import SessionMutation, SessionQuery
from schema.webhooks import WebhookMutation, WebhookQuery


@strawberry.type
class Query(
    SessionQuery,
    CustomerQuery,
    LimitQuery,
    PaymentQuery,
    OrderQuery,
    TransactionQuery,
    HandInQuery,
    DayCloseQuery,
    LedgerQuery,
    CaseQuery,
    ReconciliationQuery,
    InvariantQuery,
    WebhookQuery,
):
    pass


@strawberry.type
class Mutation(
    SessionMutation,
    PaymentMutation,
    OrderMutation,
    HandInMutation,
    ReversalMutation,
    WebhookMutation,
    CaseMutation,
):
    pass


@strawberry.type
class Subscription(LimitSubscription, PaymentSubscription, TransactionSubscription):
    pass


schema = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=REFUSALS,
    config=CONFIG,
)


def sdl() -> str:
    """Return the schema as text, sorted. Only the text is: a sorted schema breaks unions at run time."""
    core = schema._schema  # pyright: ignore[reportPrivateUsage]
    return print_schema(lexicographic_sort_schema(core)) + "\n"
