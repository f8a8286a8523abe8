"""A gateway's settlement file is imported, compared with our records, and shown by the API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from domain.calendar import business_date
from mobinet.settle import format_summary
from tests.support.requests.settlement import HEADER, Desk, changed
from tests.support.running_api import key

pytest_plugins = ["tests.support.running_api", "tests.support.requests.settlement"]


# ── both agree ───────────────────────────────────────────────────────────────────────────────────


def test_a_day_that_no_file_covers_was_not_imported(desk: Desk) -> None:
    day = desk.day("2026-03-04")
    assert (day["status"], day["lines"]) == ("NOT_IMPORTED", [])
    assert set(day["counts"].values()) == {0}


def test_what_was_paid_and_settled_matches(desk: Desk) -> None:
    paid = [desk.pays() for _ in range(3)]
    result = desk.imports(*desk.file())
    assert (result.lines, result.cases) == (3, 0)
    day = desk.day()
    assert day["status"] == "MATCHED"
    assert day["counts"] == {
        "matched": 3, "amountDiffers": 0, "oursOnly": 0, "theirsOnly": 0, "duplicate": 0,
    }  # fmt: skip
    assert {line["paymentId"] for line in day["lines"]} == {item["id"] for item in paid}
    assert {(line["result"], line["caseId"]) for line in day["lines"]} == {("MATCHED", None)}
    assert all(line["theirs"] == line["ours"] for line in day["lines"])


def test_an_empty_choice_of_results_narrows_nothing(desk: Desk) -> None:
    desk.pays()
    desk.imports(*desk.file())
    document = (
        "query ($date: Date!, $results: [ReconciliationResult!]) { reconciliation(gateway: VNPAY,"
        " date: $date) { lines(results: $results) { reference result } } }"
    )
    given = {"date": str(business_date(datetime.now(UTC)))}
    token = desk.api.token("FI001")
    whole = desk.api.get(document, given, token=token)
    assert whole["lines"]
    assert desk.api.get(document, given | {"results": []}, token=token) == whole
    only = desk.api.get(document, given | {"results": ["DUPLICATE"]}, token=token)
    assert only == {"lines": []}


def test_the_same_file_again_changes_nothing_and_is_reported(desk: Desk) -> None:
    desk.pays()
    path = desk.folder / "vnpay.csv"
    path.write_text("\n".join([HEADER, *desk.file()]) + "\n")
    first = desk.imports_file(path)
    before = desk.api.dump()
    again = desk.imports_file(path)
    assert desk.api.dump() == before
    assert (first.imported_at, again.cases, again.results) == (None, 0, {})
    assert again.imported_at is not None
    assert format_summary(again).endswith("Nothing has changed.")


def test_the_same_line_in_another_file_is_neither_counted_nor_a_case_again(desk: Desk) -> None:
    qr = desk.pays()
    altered = desk.line(qr, amount=1)
    desk.imports(altered)
    (before,) = desk.of(qr)
    result = desk.imports(altered, desk.line(desk.pays()))
    assert (result.known_lines, result.cases) == (1, 0)
    assert desk.of(qr) == [before]
    assert desk.cases(qr) == ["SETTLEMENT"]


# ── they differ ──────────────────────────────────────────────────────────────────────────────────


def test_another_amount_is_a_case(alone: Desk) -> None:
    qr = alone.pays()
    result = alone.imports(alone.line(qr, amount=qr["amount"] - 1000))
    assert result.cases == 1
    (line,) = alone.of(qr)
    assert (line["result"], line["ours"], line["theirs"]) == (
        "AMOUNT_DIFFERS", qr["amount"], qr["amount"] - 1000,
    )  # fmt: skip
    (case,) = alone.api.rows("select * from money_case where id = $1", line["caseId"])
    assert (case["kind"], case["amount"], case["payment"]) == ("SETTLEMENT", 1000, qr["id"])
    assert qr["gatewayReference"] in case["about"]
    assert alone.day()["status"] == "DIFFERENCES"
    assert alone.status(qr) == "SUCCESS"


def test_another_currency_differs_too(alone: Desk) -> None:
    qr = alone.pays()
    alone.imports(alone.line(qr, currency="USD"))
    (line,) = alone.of(qr)
    assert (line["result"], line["ours"], line["currency"]) == ("AMOUNT_DIFFERS", None, "USD")


def test_what_no_file_names_is_ours_only_and_a_case(alone: Desk) -> None:
    left_out, named = alone.pays(), alone.pays()
    alone.imports(alone.line(named))
    (line,) = alone.of(left_out)
    assert (line["result"], line["ours"], line["theirs"]) == ("OURS_ONLY", left_out["amount"], None)
    assert alone.cases(left_out) == ["SETTLEMENT"]
    assert alone.of(named)[0]["result"] == "MATCHED"


def test_a_later_file_that_names_it_completes_the_line_and_people_close_its_case(
    alone: Desk,
) -> None:
    late, named = alone.pays(), alone.pays()
    alone.imports(alone.line(named))
    case = alone.of(late)[0]["caseId"]
    result = alone.imports(alone.line(late))
    assert (result.known_lines, result.cases) == (0, 0)
    (line,) = alone.of(late)
    assert (line["result"], line["theirs"], line["caseId"]) == ("MATCHED", late["amount"], case)
    assert alone.cases(late) == ["SETTLEMENT"]
    assert alone.imports(alone.line(late), alone.line(named)).known_lines == 2


def test_unknown_money_is_theirs_only_and_a_case(alone: Desk) -> None:
    stray = f"{key()},17000000,payment,50000,VND,success,{datetime.now(UTC).isoformat()}"
    result = alone.imports(stray)
    assert result.cases == 1
    (line,) = [item for item in alone.day()["lines"] if item["reference"] == stray.split(",")[0]]
    assert (line["result"], line["theirs"], line["ours"]) == ("THEIRS_ONLY", 50000, None)
    (case,) = alone.api.rows("select * from money_case where id = $1", line["caseId"])
    assert (case["kind"], case["amount"], case["gateway"]) == ("SETTLEMENT", 50000, "VNPAY")


def test_a_reference_of_another_gateway_is_unknown_at_this_one(alone: Desk) -> None:
    qr = alone.pays(outcome="nothing")
    moment = datetime.now(UTC).isoformat()
    alone.imports(
        f"{qr['gatewayReference']},1,payment,{qr['amount']},VND,success,{moment}", gateway="bank"
    )
    assert alone.status(qr) == "PROCESSING"
    rows = alone.api.rows(
        "select result from settlement_line where reference = $1", qr["gatewayReference"]
    )
    assert [row["result"] for row in rows] == ["THEIRS_ONLY"]


def test_a_line_that_is_there_twice_is_a_duplicate_once(alone: Desk) -> None:
    qr = alone.pays()
    line = alone.line(qr)
    result = alone.imports(line, line)
    assert result.cases == 1
    assert sorted(item["result"] for item in alone.of(qr)) == ["DUPLICATE", "MATCHED"]
    assert alone.cases(qr) == ["SETTLEMENT"]
    assert alone.imports(line, line, alone.line(alone.pays())).known_lines == 2
    assert len(alone.of(qr)) == 2


# ── a line about money is evidence ───────────────────────────────────────────────────────────────


def test_money_whose_webhook_was_lost_is_found_by_the_file(alone: Desk) -> None:
    qr = alone.pays(drop_webhook=True)
    assert alone.status(qr) == "PROCESSING"
    alone.imports(alone.line(qr))
    assert alone.status(qr) == "SUCCESS"
    (line,) = alone.of(qr)
    assert (line["result"], line["caseId"]) == ("MATCHED", None)
    (row,) = alone.api.rows(
        "select actor, evidence, source from audit_event where payment_id = $1"
        " and to_status = 'SUCCESS'",
        qr["id"],
    )
    assert tuple(row) == ("settle", "SETTLEMENT", "vnpay:settlement")


def test_money_that_came_after_a_cancellation_pays_its_bill_late(alone: Desk) -> None:
    """Hard case 6."""
    qr = cancelled(alone)
    alone.sandbox.pay(reference=qr["gatewayReference"], outcome="paid", drop_webhook=True)
    alone.imports(alone.line(qr))
    late = "query ($id: ID!) { payment(id: $id) { status } }"
    assert alone.api.get(late, {"id": qr["id"]}, token=alone.api.token("FI001")) == {
        "status": "SUCCESS"
    }
    assert alone.of(qr)[0]["result"] == "MATCHED"
    assert alone.cases(qr) == []


def test_money_that_came_late_for_a_bill_paid_otherwise_keeps_its_case(alone: Desk) -> None:
    """Hard case 6."""
    qr = cancelled(alone)
    alone.api.new_payment(contractNumber=qr["contractNumber"])
    alone.sandbox.pay(reference=qr["gatewayReference"], outcome="paid", drop_webhook=True)
    result = alone.imports(alone.line(qr))
    assert result.cases == 0, "the evidence opened it"
    (line,) = alone.of(qr)
    (case,) = alone.api.rows("select id, kind from money_case where payment = $1", qr["id"])
    assert (case["kind"], line["caseId"], line["result"]) == ("LATE_MONEY", case["id"], "MATCHED")
    assert alone.day()["status"] == "DIFFERENCES", "people still have to say what becomes of it"


def test_too_little_money_is_held_and_its_one_case_is_named(alone: Desk) -> None:
    """Hard case 9."""
    qr = alone.pays(outcome="paid", amount=10_000, drop_webhook=True)
    alone.imports(alone.line(qr))
    (line,) = alone.of(qr)
    assert (line["result"], line["theirs"], line["ours"]) == (
        "AMOUNT_DIFFERS", 10_000, qr["amount"],
    )  # fmt: skip
    assert alone.cases(qr) == ["AMOUNT_MISMATCH"]
    (case,) = alone.api.rows("select id from money_case where payment = $1", qr["id"])
    assert line["caseId"] == case["id"]


def test_too_much_money_that_was_credited_matches(alone: Desk) -> None:
    """Hard case 10."""
    qr = alone.pays(outcome="paid", amount=2_000_000)
    assert alone.status(qr) == "SUCCESS"
    alone.imports(alone.line(qr))
    (line,) = alone.of(qr)
    assert (line["result"], line["ours"]) == ("MATCHED", 2_000_000)


def test_a_reference_settled_twice_under_two_numbers_was_paid_twice(alone: Desk) -> None:
    qr = alone.pays()
    line = alone.line(qr)
    result = alone.imports(line, changed(line, gateway_id="99999999"))
    assert result.cases == 0, "the evidence opened it"
    assert alone.cases(qr) == ["PAID_TWICE"]
    first, second = sorted(alone.of(qr), key=lambda item: item["result"], reverse=True)
    assert (first["result"], second["result"]) == ("MATCHED", "DUPLICATE")
    (case,) = alone.api.rows("select id from money_case where payment = $1", qr["id"])
    assert second["caseId"] == case["id"]
    booked = alone.api.rows(
        "select sum(amount)::bigint as sum from posting join entry on entry.id = posting.entry"
        " where payment = $1 and credit = 'suspense'",
        qr["id"],
    )
    assert booked[0]["sum"] == qr["amount"]


def test_a_number_of_another_kind_than_the_webhooks_books_nothing_twice(alone: Desk) -> None:
    qr = alone.pays()
    alone.imports(alone.line(qr, gateway_id="SETTLED-1"))
    assert alone.cases(qr) == []
    assert [item["result"] for item in alone.of(qr)] == ["MATCHED"]


def cancelled(desk: Desk) -> dict[str, Any]:
    qr = desk.pays(outcome="nothing")
    cancel = (
        'mutation ($id: ID!) { cancelPayment(id: $id, reason: "customer left") { payment'
        " { status } } }"
    )
    answer = desk.api.get(cancel, {"id": qr["id"]}, token=desk.api.token("NV002"))
    assert answer["payment"]["status"] == "CANCELLED"
    return qr
