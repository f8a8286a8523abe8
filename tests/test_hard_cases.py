"""
The hard cases of taking money, each with the tests that prove the rule for it.

This test fails where one of them is renamed or removed.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent

CASES = """
1 two members of staff take one bill at once
  journeys/test_one_bill.py of_two_members_of_staff_who_take_cash_for_one_bill_one_succeeds
  journeys/test_one_bill.py of_twenty_attempts_at_once_on_one_bill_one_succeeds
  journeys/test_one_bill.py bills_named_in_opposite_orders_at_once_end_without_a_deadlock
  api/refusals/test_refusals.py a_bill_in_collection_cannot_be_collected_by_a_second_member_of_staff
  api/refusals/test_refusals.py a_bill_that_was_paid_cannot_be_paid_again
  unit/db/test_bills.py one_of_fifty_concurrent_payments_locks_the_bill
2 a QR is open, and the customer now wants to pay in cash
  journeys/test_qr.py an_open_qr_blocks_cash_until_it_is_cancelled
  unit/resolvers/test_payment_inquiry.py a_cancellation_inquires_first_and_finds_the_payment_paid
  unit/resolvers/test_payment_inquiry.py a_cancellation_without_an_answer_of_the_gateway_changes_nothing
3 a webhook comes before the answer to our own request
  journeys/test_webhooks.py a_webhook_before_the_answer_to_our_own_request_pays_the_payment
4 a webhook names a reference that nobody knows
  api/webhooks/test_webhooks.py a_call_with_an_unknown_reference_is_answered_so_and_stored
  api/webhooks/test_webhooks.py a_call_that_came_before_its_payment_is_matched_later
  api/webhooks/test_webhooks.py an_event_without_a_payment_for_an_hour_becomes_one_case
5 a gateway times out
  unit/integrations/gateways/test_gateways.py silence_after_sending_is_unknown_and_a_charge_is_sent_once
  unit/integrations/gateways/test_gateways.py a_failed_connection_is_not_connected
  journeys/test_silence.py a_charge_that_the_gateway_did_not_answer_is_found_by_inquiry
  unit/resolvers/test_payment_inquiry.py seven_days_of_silence_end_in_a_case
6 money comes after the QR expired or was cancelled
  journeys/test_expiry.py money_that_comes_late_pays_the_bill_that_is_still_open
  journeys/test_expiry.py money_that_comes_late_for_a_bill_paid_otherwise_opens_a_case
  api/settlement/test_settlement.py money_that_came_after_a_cancellation_pays_its_bill_late
  api/settlement/test_settlement.py money_that_came_late_for_a_bill_paid_otherwise_keeps_its_case
  api/cases/test_decisions.py late_money_for_a_bill_paid_otherwise_is_credited_or_refunded
  api/cases/test_decisions.py late_money_does_not_pay_a_bill_twice
  api/cases/test_decisions.py late_money_pays_a_bill_that_is_open_again
7 a success, then a webhook that says it failed
  api/webhooks/test_webhooks.py a_failure_after_a_success_is_stale
  journeys/test_webhooks.py a_late_decline_does_not_undo_a_success
  unit/db/test_rules.py success_is_never_left_even_by_the_owner
8 a failure, then a genuine success
  unit/resolvers/test_payment_inquiry.py money_that_is_proven_after_a_decline_pays_the_bill_late
9 the amount is too low
  api/webhooks/test_webhooks.py too_little_is_held_and_the_answer_names_a_wrong_amount
  journeys/test_webhooks.py too_little_money_is_held_for_people_and_clears_no_bill
  api/settlement/test_settlement.py too_little_money_is_held_and_its_one_case_is_named
  api/cases/test_decisions.py too_little_is_refunded_and_the_bill_can_be_collected_again
  api/cases/test_decisions.py too_little_is_credited_and_the_bill_can_be_collected_again
  api/cases/test_decisions.py too_little_never_pays_the_bill_whoever_decides
10 the amount is too high
  api/webhooks/test_webhooks.py too_much_pays_the_bill_and_the_rest_is_the_customers
  journeys/test_webhooks.py too_much_money_pays_the_bill_and_leaves_a_credit
  api/settlement/test_settlement.py too_much_money_that_was_credited_matches
  api/cases/test_decisions.py too_much_pays_the_bill_and_opens_no_case
11 another currency; nothing, less than nothing, fractions
  api/webhooks/test_webhooks.py money_that_does_not_fit_is_held_for_people
  api/refusals/test_refused_on_top.py no_other_json_is_an_amount
  api/refusals/test_refused_on_top.py an_exponent_in_json_is_no_amount
  api/refusals/test_refusals.py an_invalid_payment_is_refused_and_changes_nothing
  api/cases/test_decisions.py dollars_are_refunded_by_accounting_and_pay_no_bill
  api/cases/test_held_sums.py money_after_an_amount_of_zero_is_decided_with_its_case
12 a wrong signature
  api/webhooks/test_webhooks.py a_forged_call_changes_nothing_and_suppresses_no_genuine_one
  journeys/test_webhooks.py a_forged_webhook_changes_nothing_and_a_genuine_one_still_counts
  api/webhooks/test_desk.py of_many_forged_calls_some_are_stored_and_a_genuine_one_is_handled
13 the same event twice, or at once
  api/webhooks/test_webhooks.py a_payment_is_confirmed_once_and_a_repeat_is_answered_as_confirmed
  api/webhooks/test_webhooks.py one_event_in_ten_calls_at_once_is_applied_once
  journeys/test_webhooks.py five_webhooks_at_once_have_one_effect
14 what handled an event crashed half-way
  api/webhooks/test_webhooks.py a_fault_of_ours_keeps_the_event_and_the_worker_finishes_it
  api/webhooks/test_webhooks.py an_event_that_cannot_be_handled_delays_no_other
  api/webhooks/test_replay.py a_call_that_was_given_up_is_handled_again
15 an old signed webhook is replayed
  api/webhooks/test_webhooks.py a_signature_is_valid_for_five_minutes_and_by_the_right_secret
  api/webhooks/test_webhooks.py a_payment_is_confirmed_once_and_a_repeat_is_answered_as_confirmed
  unit/db/test_rules.py a_final_status_is_left_only_by_late_success
16 VNPay 07 or 04: debited, and suspicious or reversed
  api/webhooks/test_webhooks.py a_suspicion_is_no_success
  api/cases/test_held_money.py money_of_a_suspicious_payment_is_booked_once_and_still_waits
  api/cases/test_held_money.py a_suspicion_about_an_ended_payment_is_one_case
  api/cases/test_decisions.py a_suspicious_payment_that_two_people_apply_succeeds_and_is_recorded
  api/cases/test_decisions.py late_money_is_still_found_after_a_suspicion_was_closed
  api/cases/test_held_sums.py money_of_another_amount_than_the_suspicion_is_decided_with_its_case
17 which methods count against limits
  unit/domain/test_limits.py only_staff_money_counts_against_limits
  journeys/test_qr.py a_qr_counts_against_no_limit_of_the_staff
  api/refusals/test_refusals.py cash_in_hand_is_a_limit_of_its_own_and_the_wallet_does_not_count
18 it starts at 23:59:58 and ends at 00:00:05
  unit/resolvers/test_limits.py a_payment_counts_on_the_day_on_which_it_was_made
  unit/resolvers/test_limits.py the_daily_turnover_restarts_with_the_vietnamese_day_in_every_time_zone
  unit/domain/test_calendar.py a_day_begins_at_17_utc_in_every_zone
19 Staff Management has another figure of today than we
  unit/db/test_limits.py used_is_the_first_reported_figure_and_the_greater_of_the_later_uses
  unit/resolvers/test_limits.py a_higher_usage_reported_by_staff_management_counts
  unit/resolvers/test_limits.py a_drift_of_limits_is_logged_once_and_never_lowers_our_count
20 Staff Management is down
  unit/resolvers/test_limits.py limits_of_staff_management_are_used_for_fifteen_minutes
  unit/resolvers/test_limits.py yesterdays_limits_are_not_used_today
  unit/db/test_limits.py a_day_without_a_report_is_refused
21 a cache of five minutes ago says unpaid
  api/refusals/test_refusals.py a_contract_that_was_just_terminated_is_refused
  api/refusals/test_refusals.py a_payment_needs_the_answers_of_the_internal_systems
22 Revenue does not record a success
  unit/resolvers/test_jobs.py a_success_stays_while_revenue_is_down_and_is_recorded_once_afterwards
  unit/resolvers/test_jobs.py a_lost_answer_of_revenue_makes_no_second_record
  unit/resolvers/test_jobs.py a_bill_that_revenue_booked_for_another_payment_is_one_case
23 cash is voided
  api/refunds/test_voids.py a_collector_voids_todays_cash_and_its_bill_can_be_collected_again
  api/refunds/test_voids.py a_supervisor_of_the_team_voids_what_a_collector_took
  api/refunds/test_voids.py ten_voids_at_once_void_once
  api/refunds/test_voids.py cash_that_was_handed_in_is_refunded_not_voided
  unit/resolvers/test_refund_execution.py a_collector_voids_until_midnight_in_vietnam_and_a_supervisor_after
  unit/resolvers/test_refund_execution.py a_large_void_waits_for_a_second_person_and_changes_nothing_before
  unit/resolvers/test_refund_reporting.py revenue_and_debt_are_notified_of_a_void_once_in_order_after_the_payment
24 money is refunded through a gateway
  api/refunds/test_refunds.py parts_add_up_to_the_whole_and_only_then_the_bill_is_open
  api/refunds/test_refunds.py ten_refunds_at_once_never_exceed_the_payment
  api/refunds/test_refunds.py the_same_key_refunds_once
  api/refunds/test_refunds.py a_refund_whose_answer_is_lost_is_unknown_and_made_once
  api/refunds/test_settled_refunds.py a_refund_of_unknown_outcome_is_done_by_the_gateways_file
  api/refunds/test_settled_refunds.py a_failed_refund_that_was_made_is_done_by_the_gateways_file
  unit/resolvers/test_refund_execution.py a_refund_without_an_answer_is_inquired_and_never_sent_again
  unit/resolvers/test_refund_execution.py the_database_refuses_to_refund_more_than_was_paid
25 several items, one of them paid already
  journeys/test_one_bill.py a_paid_bill_refuses_the_whole_payment
  journeys/test_one_bill.py a_refusal_names_every_bill_that_cannot_be_taken
  api/refusals/test_refusals.py the_refusal_of_several_items_names_each_that_cannot_be_taken
26 the same key with another input
  api/refusals/test_refusals.py a_key_of_one_request_cannot_be_used_for_another
  journeys/test_idempotency.py the_same_key_with_another_input_is_refused_without_any_effect
27 the same key while the first request is in flight
  journeys/test_idempotency.py ten_requests_at_once_with_one_key_are_one_payment
  journeys/test_silence.py after_a_crash_the_same_key_is_the_payment_that_was_sent
  unit/db/test_idempotency.py a_request_is_in_flight_until_it_is_answered_or_its_process_dies
  unit/resolvers/test_idempotency.py a_repeat_during_the_first_request_opens_nothing_at_any_time
28 a new key, the same bill, the same member of staff
  api/refusals/test_refusals.py a_bill_in_collection_names_the_payment_to_its_collector
29 a token ends while its socket is open
  journeys/test_sessions.py a_token_ends_at_its_time_and_its_socket_with_4401
  journeys/test_sessions.py a_socket_without_a_good_token_is_closed_with_4403
  api/sessions/test_sessions.py a_changed_role_counts_from_the_next_token
30 Redis is lost
  journeys/test_valkey.py a_watched_payment_is_seen_paid_though_redis_was_killed
  unit/resolvers/test_hub.py every_watcher_reads_again_after_redis_was_lost
31 clocks differ
  unit/domain/test_calendar.py a_day_begins_at_17_utc_in_every_zone
  unit/db/test_transaction.py the_application_acts_as_its_own_role_in_utc
  unit/resolvers/test_payment_inquiry.py an_unpaid_qr_ends_when_its_time_is_up_and_its_bill_is_free
32 a gateway is down
  unit/integrations/gateways/test_gateways.py five_silences_stop_payments_but_not_inquiries
  unit/integrations/gateways/test_gateways.py declines_never_stop_payments
  unit/integrations/http/test_breaker.py after_five_failures_in_a_row_no_call_is_let_in
  journeys/test_silence.py after_several_failures_a_payment_is_refused_without_a_request_to_the_gateway
"""  # noqa: E501


def proofs_by_case() -> dict[int, list[tuple[str, str]]]:
    """Return the file and the name of each test, by the number of its case."""
    cases: dict[int, list[tuple[str, str]]] = {}
    proofs: list[tuple[str, str]] = []
    for line in CASES.strip().splitlines():
        first, rest = line.split(maxsplit=1)
        if line.startswith(" "):
            proofs.append((first, f"test_{rest}"))
        else:
            proofs = cases[int(first)] = []
    return cases


@cache
def functions_in(path: str) -> frozenset[str]:
    tree = ast.parse((FOLDER / path).read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, functions))


@pytest.mark.parametrize("number", proofs_by_case())
def test_a_hard_case_is_proven_by_tests_that_exist(number: int) -> None:
    proofs = proofs_by_case()[number]
    assert proofs
    assert [name for path, name in proofs if name not in functions_in(path)] == []


def test_no_hard_case_is_forgotten() -> None:
    assert list(proofs_by_case()) == list(range(1, 33))
