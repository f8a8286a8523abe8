"""The root types and the schema; `schema.graphql` is its printed form."""

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
from schema.payment_search import PaymentSearchQuery, PaymentSearchSubscription
from schema.payments import PaymentMutation, PaymentQuery, PaymentSubscription
from schema.reconciliation import ReconciliationQuery
from schema.reversal_mutations import ReversalMutation
from schema.sessions import SessionMutation, SessionQuery
from schema.webhooks import WebhookMutation, WebhookQuery


@strawberry.type
class Query(
    SessionQuery,
    CustomerQuery,
    LimitQuery,
    PaymentQuery,
    OrderQuery,
    PaymentSearchQuery,
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
class Subscription(LimitSubscription, PaymentSubscription, PaymentSearchSubscription):
    pass


schema = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=REFUSALS,
    config=CONFIG,
)


def sdl() -> str:
    """Return the schema as sorted text; executing a sorted schema would break its unions."""
    core = schema._schema  # pyright: ignore[reportPrivateUsage]
    return print_schema(lexicographic_sort_schema(core)) + "\n"
