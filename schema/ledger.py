"""The books, as finance reads them."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import ledger
from domain.money import Currency
from resolvers import ledger as resolve
from schema.common import Amount, Info
from schema.graphql.publish import shows
from schema.moments import moment


@shows(
    ledger.AccountBalance,
    description="What was posted to an account in one currency; `balance` is `debit` less `credit`.",
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
        description="Every account as of `at`, now by default. In each currency debits equal credits.",
    )
    async def trial_balance(
        self, info: Info, at: datetime | None = None
    ) -> tuple[ledger.AccountBalance, ...]:
        return await resolve.trial_balance(info.context, moment("at", at))
