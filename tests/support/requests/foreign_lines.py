"""Lines of other programs in settlement files, and the sums that the reconciliation has of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from domain.calendar import business_date
from tests.support.requests.settlement import HEADER
from tests.support.running_api import Api

FOREIGN = """
query ($gateway: Gateway!, $date: Date!, $results: [ReconciliationResult!]) {
  reconciliation(gateway: $gateway, date: $date) {
    status counts { matched amountDiffers oursOnly theirsOnly duplicate }
    foreign { kind currency count amount }
    all: lines { reference result }
    some: lines(results: $results) { reference result theirs ours caseId } } }
"""


def line(reference: str, amount: int = 17_470, **but: Any) -> str:
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=1)
    cells = {
        "reference": reference,
        "gateway_id": f"pi_{reference}",
        "kind": "payment",
        "amount": amount,
        "currency": "VND",
        "status": "success",
        "at": moment.isoformat(),
    } | but
    return ",".join(str(cells[name]) for name in HEADER.split(","))


def day(
    api: Api, gateway: str, results: list[str] | None = None, *, date: date | None = None
) -> dict[str, Any]:
    wanted = date or business_date(datetime.now(UTC))
    given = {"gateway": gateway, "date": str(wanted), "results": results}
    return api.get(FOREIGN, given, token=api.token("FI001"))


def sums(api: Api, gateway: str) -> set[tuple[str | None, str | None, int, int | None]]:
    return {tuple(item.values()) for item in day(api, gateway)["foreign"]}
