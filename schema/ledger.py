"""The ledger's balances, for finance."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import ledger
from domain.money import Currency
from resolvers import ledger as resolve
from schema.common import Amount, Info
from schema.graphql.date_time import in_utc
from schema.graphql.publish import publishes


@publishes(
    ledger.AccountBalance,
    description="The sums posted to an account in one currency; `balance` is `debit` less"
    " `credit`.",
)
class AccountBalance:
    account: str
    currency: Currency
    debit: Amount
    credit: Amount
    balance: Amount


@strawberry.type
class LedgerQuery:
    @strawberry.field(
        graphql_type=list[AccountBalance],
        description="The balance of every account at a time, by default now. In each currency total"
        " debits equal total credits.",
    )
    async def trial_balance(
        self, info: Info, at: datetime | None = None
    ) -> tuple[ledger.AccountBalance, ...]:
        return await resolve.trial_balance(info.context, in_utc("at", at))
