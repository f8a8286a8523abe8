-- What no column can say of reversals, hand-ins, decisions and proofs. Run once, by the owner.

create index reversal_of_payment on reversal (payment, created_at);
create index reversal_open on reversal (created_at) where status in ('AWAITING_APPROVAL', 'PENDING', 'UNKNOWN');
create unique index one_void_of_a_payment on reversal (payment) where kind = 'VOID' and status <> 'FAILED';
create index hand_in_by_time on hand_in (submitted_at desc, id collate "C" desc);
create index hand_in_of_staff on hand_in (staff, business_date);
create index payment_of_hand_in on payment (hand_in) where hand_in is not null;
create index payment_held on payment (staff) where custody = 'HELD_BY_STAFF';
create index entry_of_reversal on entry (reversal) where reversal is not null;
create index entry_of_hand_in on entry (hand_in) where hand_in is not null;
create index entry_by_time on entry (created_at);
create index posting_of_staff_cash on posting (staff) include (entry, debit, amount)
    where debit = 'staff_cash' or credit = 'staff_cash';
create index posting_by_accounts on posting (debit, credit, currency) include (amount);
create index money_case_by_time on money_case (opened_at desc, id collate "C" desc);
create index money_case_of_payment on money_case (payment) where payment is not null;
create index settlement_line_by_day on settlement_line (gateway, day);
create index settlement_line_reference on settlement_line (reference);
create index payment_record_signed on payment_record (signed_at);

-- The sealer takes rows in the order of their transactions, and none that may still be joined by an
-- earlier one: a row's own transaction id is what that is decided by.
alter table audit_event alter column txid set default pg_current_xact_id()::text::bigint;
create index audit_event_by_transaction on audit_event (txid, id);

-- What leaves an account on a payment's behalf never exceeds what the payment brought there: the sum of
-- refunds is at most what was captured, and no one is refunded what was credited.
create function posting_is_covered() returns trigger language plpgsql as $$
declare
    about varchar;
    rest bigint;
begin
    select payment into about from entry where id = new.entry;
    if about is null then
        return null;
    end if;
    perform 1 from payment where id = about for update; -- two that take the rest wait for each other
    select sum(case when posting.credit = new.debit then posting.amount else 0 end)
         - sum(case when posting.debit = new.debit then posting.amount else 0 end)
      into rest
      from entry join posting on posting.entry = entry.id
     where entry.payment = about and posting.currency = new.currency;
    if rest < 0 then
        raise exception 'payment %: more leaves % than it brought there', about, new.debit;
    end if;
    return null;
end $$;
create constraint trigger posting_is_covered after insert on posting
    deferrable initially deferred for each row
    when (new.debit in ('customer_receivable', 'customer_credit', 'suspense', 'refunds_payable'))
    execute function posting_is_covered();

-- A SUCCESS is worth what was asked for; what is given back of it, and comes again where a refund
-- fails, is another entry's.
create or replace function success_is_posted() returns trigger language plpgsql as $$
begin
    if new.status = 'SUCCESS' and coalesce((
        select sum(posting.amount) from entry join posting on posting.entry = entry.id
        where entry.payment = new.id and entry.reversal is null
          and posting.credit = 'customer_receivable'), 0) <> new.amount then
        raise exception 'payment %: a SUCCESS is posted to the ledger, once and whole', new.id;
    end if;
    return null;
end $$;

create function protect_reversal() returns trigger language plpgsql as $$
begin
    if new.id <> old.id or new.payment <> old.payment or new.kind <> old.kind
       or new.amount <> old.amount or new.currency <> old.currency or new.source <> old.source
       or new.requested_by <> old.requested_by or new.created_at <> old.created_at then
        raise exception 'reversal %: what was asked for never changes', old.id;
    end if;
    if new.status <> old.status and old.status in ('DONE', 'FAILED') then
        raise exception 'reversal %: % is never left', old.id, old.status;
    end if;
    return new;
end $$;
create trigger reversal_is_protected before update on reversal
    for each row execute function protect_reversal();

-- Where cash is: held, handed in, reconciled; voided only while it is held.
create function protect_custody() returns trigger language plpgsql as $$
begin
    if (old.custody, new.custody) not in (
        ('HELD_BY_STAFF', 'HANDED_IN'), ('HELD_BY_STAFF', 'VOIDED'), ('HANDED_IN', 'RECONCILED')) then
        raise exception 'payment %: cash that is % does not become %', old.id, old.custody, new.custody;
    end if;
    return new;
end $$;
create trigger custody_is_protected before update of custody on payment
    for each row when (old.custody is not null and old.custody is distinct from new.custody)
    execute function protect_custody();

create function protect_hand_in() returns trigger language plpgsql as $$
begin
    if old.status = 'CONFIRMED' or new.id <> old.id or new.staff <> old.staff
       or new.expected <> old.expected or new.declared <> old.declared
       or new.submitted_at <> old.submitted_at then
        raise exception 'hand-in %: it is confirmed once, and nothing else changes', old.id;
    end if;
    return new;
end $$;
create trigger hand_in_is_protected before update on hand_in
    for each row execute function protect_hand_in();

create function protect_case() returns trigger language plpgsql as $$
begin
    if old.status = 'RESOLVED' then
        raise exception 'case %: it is resolved', old.id;
    end if;
    if new.status = 'RESOLVED' and (
        select count(distinct actor) from case_approval
         where money_case = new.id
           and (decision = new.decision or (new.kind, new.decision) = ('APPROVAL', 'CLOSE'))) < 2 then
        raise exception 'case %: two people resolve it; one may refuse what another asked for', old.id;
    end if;
    return new;
end $$;
create trigger money_case_is_protected before update on money_case
    for each row execute function protect_case();

-- What was written stays.
create trigger case_approval_is_append_only before update or delete or truncate on case_approval
    for each statement execute function never_changed();
create trigger seal_is_append_only before update or delete or truncate on seal
    for each statement execute function never_changed();
create trigger audit_link_is_append_only before update or delete or truncate on audit_link
    for each statement execute function never_changed();
create trigger payment_record_is_append_only before update or delete or truncate on payment_record
    for each statement execute function never_changed();
create trigger settlement_is_append_only before update or delete or truncate on settlement
    for each statement execute function never_changed();
create trigger settlement_line_is_never_deleted before delete or truncate on settlement_line
    for each statement execute function never_changed();
create trigger reversal_is_never_deleted before delete or truncate on reversal
    for each statement execute function never_changed();
create trigger hand_in_is_never_deleted before delete or truncate on hand_in
    for each statement execute function never_changed();
create trigger money_case_is_never_deleted before delete or truncate on money_case
    for each statement execute function never_changed();

grant select, insert on reversal, hand_in, case_approval, seal, audit_link, payment_record,
    settlement, settlement_line, invariant to mobinet_app;
grant update on reversal, hand_in, settlement_line, invariant to mobinet_app;
grant usage, select on all sequences in schema public to mobinet_app;
