"""Debt Management: a contract's total debt, and reasons why it was not collected."""

from __future__ import annotations

from datetime import date

from pydantic import Field
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.contracts import Contract
from sandbox.systems.revenue import Reverse
from sandbox.web import ERRORS, Answer, ApiKey, Body, Idempotency, Json, Refused, unavailable
from sandbox.world import World

REASONS = {
    "NOT_HOME": "Khách hàng vắng nhà",
    "PROMISED": "Khách hàng hẹn ngày thanh toán",
    "NO_MONEY": "Khách hàng chưa có tiền",
    "DISPUTED": "Khách hàng khiếu nại cước",
    "MOVED": "Khách hàng chuyển địa chỉ",
    "WANTS_TO_LEAVE": "Khách hàng muốn thanh lý hợp đồng",
    "OTHER": "Lý do khác",
}


class Settle(Body):
    transaction_id: str = Field(min_length=1, max_length=100)
    contract_number: str
    amount: int = Field(gt=0)


class Reason(Body):
    contract_number: str
    reason_code: str
    note: str | None = Field(default=None, max_length=1000)
    staff_id: str = Field(min_length=1)
    promised_date: date | None = None


class Debt:
    name = "debt"

    def __init__(self, world: World) -> None:
        self.contracts = world.contracts
        self.conflicts = world.conflicts
        self.store = world.store
        self.key = world.settings.debt.api_key.get_secret_value()

    def app(self) -> Starlette:
        idempotent = Idempotency(self.store, self.name)
        return Starlette(
            routes=[
                Route("/api/debts/reasons", self.reasons, methods=["GET"]),
                Route("/api/debts/reasons", idempotent(Reason, self.reason), methods=["POST"]),
                Route("/api/debts/settle", idempotent(Settle, self.settle), methods=["POST"]),
                Route("/api/debts/unsettle", idempotent(Reverse, self.unsettle), methods=["POST"]),
                Route("/api/debts/{contract_number}", self.debt),
            ],
            middleware=[Middleware(ApiKey, key=self.key)],
            exception_handlers=ERRORS,
        )

    async def refusal(self, request: Request) -> Response:
        return unavailable(self.name)

    async def debt(self, request: Request) -> Response:
        contract = self._contract(request.path_params["contract_number"])
        return JSONResponse(self._summary(contract))

    async def reasons(self, request: Request) -> Response:
        return JSONResponse(
            {"reasons": [{"code": code, "label": label} for code, label in REASONS.items()]}
        )

    def reason(self, request: Request, body: Reason) -> Answer:
        contract = self._contract(body.contract_number)
        if body.reason_code not in REASONS:
            raise Refused(422, "UNKNOWN_REASON", "no such reason", field="reason_code")
        promised = body.promised_date.isoformat() if body.promised_date else None
        self.store.execute(
            "insert into reasons (contract_number, reason_code, note, staff_id, promised_date)"
            " values (?, ?, ?, ?, ?)",
            contract.number, body.reason_code, body.note, body.staff_id, promised,
        )  # fmt: skip
        return 201, {"contract_number": contract.number, "status": "noted"}

    def settle(self, request: Request, body: Settle) -> Answer:
        contract = self._contract(body.contract_number)
        known = self.store.fetch_row(
            "select * from settlements where transaction_id = ?", body.transaction_id
        )
        if known is not None:  # repeated under another idempotency key
            if (known["contract_number"], known["amount"]) == (contract.number, body.amount):
                return 200, self._summary(contract)
            raise Refused(409, "TRANSACTION_DIFFERS", "settled before, with another amount")
        owed = self._owed(contract)
        if body.amount > owed:
            detail = f"{body.amount} is more than the {owed} that is owed"
            self.conflicts.note(self.name, body.transaction_id, contract.number, detail)
            raise Refused(409, "EXCEEDS_DEBT", detail, total_debt=owed)
        self.store.execute(
            "insert into settlements values (?, ?, ?, 1, 0)",
            body.transaction_id, contract.number, body.amount,
        )  # fmt: skip
        return 201, self._summary(contract)

    def unsettle(self, request: Request, body: Reverse) -> Answer:
        settled = self.store.fetch_row(
            "select * from settlements where transaction_id = ?", body.transaction_id
        )
        if settled is None:
            raise Refused(404, "NOT_FOUND", "no such transaction was settled")
        contract = self._contract(settled["contract_number"])
        known = self.store.fetch_row(
            "select * from reversals where system = ? and reversal_id = ?",
            self.name, body.reversal_id,
        )  # fmt: skip
        if known is not None:
            if (known["transaction_id"], known["amount"]) == (body.transaction_id, body.amount):
                return 200, self._summary(contract)
            raise Refused(409, "REVERSAL_DIFFERS", "reversed before, with another amount")
        if settled["reversed"] + body.amount > settled["amount"]:
            detail = f"{body.reversal_id} would reverse more than was settled"
            self.conflicts.note(self.name, body.transaction_id, contract.number, detail)
            raise Refused(409, "REVERSES_TOO_MUCH", detail)
        self.store.execute(
            "insert into reversals values (?, ?, ?, ?, ?, ?)",
            self.name, body.reversal_id, body.transaction_id, body.kind.lower(), body.amount,
            body.reason,
        )  # fmt: skip
        self.store.execute(
            "update settlements set reversed = reversed + ? where transaction_id = ?",
            body.amount, body.transaction_id,
        )  # fmt: skip
        return 201, self._summary(contract)

    def _contract(self, number: str) -> Contract:
        contract = self.contracts.find(number)
        if contract is None:
            raise Refused(404, "NOT_FOUND", "no such contract")
        return contract

    def _owed(self, contract: Contract) -> int:
        settled = self.store.fetch_value(
            "select sum(amount - reversed) from settlements where contract_number = ?",
            contract.number,
        )
        return contract.total - (settled or 0)

    def _summary(self, contract: Contract) -> Json:
        owed = self._owed(contract)
        months = _months(contract, owed)
        status = "clear" if owed == 0 else "overdue" if months > 1 else "due"
        return {
            "contract_number": contract.number,
            "total_debt": owed,
            "overdue_months": months,
            "status": status,
        }


def _months(contract: Contract, owed: int) -> int:
    """Return how many of the latest bills make up the debt; the oldest bills are paid first."""
    months, covered = 0, 0
    for item in reversed([item for item in contract.items if item.kind == "bill"]):
        if covered >= owed:
            break
        months, covered = months + 1, covered + item.amount
    return months
