"""Imports of a gateway's settlement files, over the running API and sandbox."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.calendar import business_date
from domain.methods import GatewayName
from domain.settlement import ImportSummary
from mobinet.settle import OPERATOR
from resolvers import settlement
from tests.support.running_api import Api, Sandbox

RECONCILIATION = """
query ($gateway: Gateway!, $date: Date!) { reconciliation(gateway: $gateway, date: $date) {
  status counts { matched amountDiffers oursOnly theirsOnly duplicate }
  lines { kind reference gatewayId theirs ours currency result paymentId caseId } } }
"""
HEADER = "reference,gateway_id,kind,amount,currency,status,at"


class Desk:
    """Fetches a gateway's file of the day, changes it, imports it, and reads the reconciliation."""

    def __init__(self, api: Api, sandbox: Sandbox, folder: Path) -> None:
        self.api, self.sandbox, self.folder = api, sandbox, folder
        self.files = 0

    def pays(self, **act: Any) -> dict[str, Any]:
        """Return a QR that its customer has paid with a webhook, unless *act* says otherwise."""
        qr = self.api.new_payment(method="VNPAY_QR")
        if act.get("outcome") != "nothing":
            self.sandbox.pay(reference=qr["gatewayReference"], **({"outcome": "paid"} | act))
        return qr

    def file(self, gateway: str = "vnpay") -> list[str]:
        """Return the lines of the gateway's file of today, without its header."""
        today = business_date(datetime.now(UTC))
        answer = self.sandbox.http.get(f"/_sandbox/settlement/{gateway}?date={today}")
        heading, *lines = answer.text.splitlines()
        assert heading == HEADER
        return lines

    def line(self, payment: dict[str, Any], **but: Any) -> str:
        """Return the file's line of *payment*, changed as *but* says."""
        (found,) = [line for line in self.file() if line.startswith(payment["gatewayReference"])]
        return changed(found, **but)

    def imports(self, *lines: str, gateway: str = "vnpay", **how: Any) -> ImportSummary:
        self.files += 1
        path = self.folder / f"{gateway}-{self.files}.csv"
        path.write_text("\n".join([HEADER, *lines]) + "\n")
        return self.imports_file(path, gateway=gateway, **how)

    def imports_file(self, path: Path, *, gateway: str = "vnpay", **how: Any) -> ImportSummary:
        context = self.api.context.for_actor(OPERATOR)
        return self.api.run(
            settlement.import_file(context, GatewayName(gateway.upper()), path, **how)
        )

    def day(self, date: str | None = None, *, gateway: str = "VNPAY") -> dict[str, Any]:
        date = date or str(business_date(datetime.now(UTC)))
        given = {"gateway": gateway, "date": date}
        return self.api.get(RECONCILIATION, given, token=self.api.token("FI001"))

    def of(self, payment: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the reconciliation's lines of *payment*."""
        lines = self.day(gateway=payment["gateway"])["lines"]
        return [line for line in lines if line["reference"] == payment["gatewayReference"]]

    def cases(self, payment: dict[str, Any]) -> list[str]:
        rows = self.api.rows(
            "select kind from money_case where payment = $1 order by opened_at", payment["id"]
        )
        return [row["kind"] for row in rows]

    def status(self, payment: dict[str, Any]) -> str:
        document = "query ($id: ID!) { payment(id: $id) { status } }"
        return self.api.get(document, {"id": payment["id"]}, token=self.api.token("FI001"))[
            "status"
        ]


def changed(line: str, **but: Any) -> str:
    """Return a line of a settlement file with other cells."""
    cells = dict(zip(HEADER.split(","), line.split(","), strict=True)) | but
    return ",".join(str(cells[name]) for name in HEADER.split(","))


@pytest.fixture
def desk(api: Api, sandbox: Sandbox, tmp_path: Path) -> Desk:
    return Desk(api, sandbox, tmp_path)


@pytest.fixture
def alone(desk: Desk) -> Desk:
    """Return a desk after importing what earlier tests have paid."""
    desk.imports(*desk.file())
    return desk
