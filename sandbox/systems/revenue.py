"""Revenue Management: bills and fees, and the records of their payments."""

from __future__ import annotations

import json
from typing import Literal

from pydantic import AwareDatetime, Field
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.contracts import Contract
from sandbox.web import ERRORS, Answer, ApiKey, Body, Idempotency, Json, Refused, unavailable
from sandbox.world import World


class Line(Body):
    type: Literal["bill", "fee"]
    id: str = Field(min_length=1)
    amount: int = Field(gt=0)


class Record(Body):
    transaction_id: str = Field(min_length=1, max_length=100)
    contract_number: str
    method: str = Field(min_length=1, max_length=32)
    paid_at: AwareDatetime
    items: list[Line] = Field(min_length=1)
    staff_id: str | None = None


class Reverse(Body):
    transaction_id: str = Field(min_length=1)
    reversal_id: str = Field(min_length=1, max_length=100)
    kind: str = Field(pattern="^(?i:void|refund)$")
    amount: int = Field(gt=0)
    reason: str | None = None


class Revenue:
    name = "revenue"

    def __init__(self, world: World) -> None:
        self.contracts = world.contracts
        self.conflicts = world.conflicts
        self.store = world.store
        self.key = world.settings.revenue.api_key.get_secret_value()

    def app(self) -> Starlette:
        idempotent = Idempotency(self.store, self.name)
        return Starlette(
            routes=[
                Route("/api/bills/{contract_number}", self.bills),
                Route("/api/fees/{contract_number}", self.fees),
                Route("/api/payment-history/{contract_number}", self.history),
                Route("/api/payments/record", idempotent(Record, self.record), methods=["POST"]),
                Route("/api/payments/reverse", idempotent(Reverse, self.reverse), methods=["POST"]),
            ],
            middleware=[Middleware(ApiKey, key=self.key)],
            exception_handlers=ERRORS,
        )

    async def refusal(self, request: Request) -> Response:
        return unavailable(self.name)

    async def bills(self, request: Request) -> Response:
        contract = self._contract(request.path_params["contract_number"])
        paid = self._paid(contract)
        bills = [
            {
                "bill_number": item.id,
                "period_from": item.period_from,
                "period_to": item.period_to,
                "amount": item.amount,
                "content": item.content,
                "issue_date": item.issue_date,
                "status": "paid" if ("bill", item.id) in paid else "unpaid",
            }
            for item in contract.items
            if item.kind == "bill"
        ]
        return JSONResponse({"contract_number": contract.number, "bills": bills})

    async def fees(self, request: Request) -> Response:
        contract = self._contract(request.path_params["contract_number"])
        paid = self._paid(contract)
        fees = [
            {
                "fee_id": item.id,
                "content": item.content,
                "amount": item.amount,
                "status": "paid" if ("fee", item.id) in paid else "unpaid",
            }
            for item in contract.items
            if item.kind == "fee"
        ]
        return JSONResponse({"contract_number": contract.number, "fees": fees})

    async def history(self, request: Request) -> Response:
        contract = self._contract(request.path_params["contract_number"])
        rows = self.store.fetch_rows(
            "select * from records where contract_number = ? order by paid_at desc", contract.number
        )
        payments: list[Json] = [
            {key: row[key] for key in ("transaction_id", "paid_at", "amount", "method")}
            for row in rows
        ]
        return JSONResponse({"contract_number": contract.number, "payments": payments})

    def record(self, request: Request, body: Record) -> Answer:
        contract = self._contract(body.contract_number)
        lines: dict[tuple[str, str], int] = {}
        for line in body.items:
            item = contract.item(line.type, line.id)
            if item is None:
                raise Refused(
                    404, "ITEM_NOT_FOUND", f"{contract.number} has no {line.type} {line.id}"
                )
            if (item.kind, item.id) in lines:
                raise Refused(422, "ITEM_REPEATED", "an item is repeated")
            if item.amount != line.amount:
                raise Refused(
                    422,
                    "AMOUNT_MISMATCH",
                    f"{item.kind} {item.id} is {item.amount}",
                    expected=item.amount,
                )
            lines[item.kind, item.id] = item.amount
        answer: Json = {"transaction_id": body.transaction_id, "status": "recorded"}
        items = json.dumps(
            [{"type": kind, "id": id, "amount": lines[kind, id]} for kind, id in lines],
            sort_keys=True,
        )
        known = self.store.fetch_row(
            "select * from records where transaction_id = ?", body.transaction_id
        )
        if known is not None:  # repeated under another idempotency key
            if (known["contract_number"], known["items"]) == (contract.number, items):
                return 200, answer
            raise Refused(409, "TRANSACTION_DIFFERS", "recorded before, with other items")
        paid = self._paid(contract)
        for kind, id in lines:
            if (kind, id) in paid:
                detail = f"{kind} {id} was recorded by {paid[kind, id]}"
                self.conflicts.note(self.name, body.transaction_id, contract.number, detail)
                raise Refused(
                    409, "ALREADY_PAID", detail, type=kind, id=id, transaction_id=paid[kind, id]
                )
        self.store.execute(
            "insert into records values (?, ?, ?, ?, ?, ?, ?, 1, 0)",
            body.transaction_id, contract.number, body.method, body.paid_at.isoformat(),
            body.staff_id, sum(lines.values()), items,
        )  # fmt: skip
        for kind, id in lines:
            self.store.execute(
                "insert into paid_items values (?, ?, ?, ?)",
                kind, id, contract.number, body.transaction_id,
            )  # fmt: skip
        return 201, answer

    def reverse(self, request: Request, body: Reverse) -> Answer:
        record = self.store.fetch_row(
            "select * from records where transaction_id = ?", body.transaction_id
        )
        if record is None:
            raise Refused(404, "NOT_FOUND", "no such transaction was recorded")
        answer: Json = {"reversal_id": body.reversal_id, "status": "reversed"}
        known = self.store.fetch_row(
            "select * from reversals where system = ? and reversal_id = ?",
            self.name, body.reversal_id,
        )  # fmt: skip
        if known is not None:
            if (known["transaction_id"], known["amount"]) == (body.transaction_id, body.amount):
                return 200, answer
            raise Refused(409, "REVERSAL_DIFFERS", "reversed before, with another amount")
        reversed_ = record["reversed"] + body.amount
        if reversed_ > record["amount"]:
            detail = f"{body.reversal_id} would reverse more than was recorded"
            self.conflicts.note(self.name, body.transaction_id, record["contract_number"], detail)
            raise Refused(409, "REVERSES_TOO_MUCH", detail)
        self.store.execute(
            "insert into reversals values (?, ?, ?, ?, ?, ?)",
            self.name, body.reversal_id, body.transaction_id, body.kind.lower(), body.amount,
            body.reason,
        )  # fmt: skip
        self.store.execute(
            "update records set reversed = ? where transaction_id = ?",
            reversed_, body.transaction_id,
        )  # fmt: skip
        if reversed_ == record["amount"]:  # after a partial reversal the items stay paid
            self.store.execute(
                "delete from paid_items where transaction_id = ?", body.transaction_id
            )
        return 201, answer

    def _contract(self, number: str) -> Contract:
        contract = self.contracts.find(number)
        if contract is None:
            raise Refused(404, "NOT_FOUND", "no such contract")
        return contract

    def _paid(self, contract: Contract) -> dict[tuple[str, str], str]:
        """Return the id of the transaction that paid each paid item."""
        rows = self.store.fetch_rows(
            "select * from paid_items where contract_number = ?", contract.number
        )
        return {(row["kind"], row["item_id"]): row["transaction_id"] for row in rows}
