-- What no column can express, by table: indexes, triggers and functions; the privileges come last.
-- The owner runs it once, after the tables and the job queue exist.

-- ── all tables ──────────────────────────────────────────────────────────────────────────────────

-- Each running process holds its number as an advisory lock: the lock ends with the process.
create sequence process_number as integer cycle;

-- Rows of these tables are neither changed nor deleted, not even by the owner.
create function never_changed() returns trigger language plpgsql as $$
begin
    raise exception '% rows are added, never changed or deleted', tg_table_name;
end $$;

-- ── session ─────────────────────────────────────────────────────────────────────────────────────

create index session_of_staff on session (staff);

-- ── merchant_order ──────────────────────────────────────────────────────────────────────────────

create function protect_order() returns trigger language plpgsql as $$
begin
    if new.id <> old.id or new.merchant <> old.merchant or new.reference <> old.reference
       or new.amount <> old.amount or new.currency <> old.currency
       or new.created_at <> old.created_at or old.status = 'PAID' then
        raise exception 'order %: it is paid once, and nothing else changes', old.id;
    end if;
    return new;
end $$;
create trigger order_is_protected before update on merchant_order
    for each row execute function protect_order();
create trigger order_is_never_deleted before delete or truncate on merchant_order
    for each statement execute function never_changed();

-- ── hand_in ─────────────────────────────────────────────────────────────────────────────────────

create index hand_in_by_time on hand_in (submitted_at desc, id collate "C" desc);
create index hand_in_of_staff on hand_in (staff, business_date);

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
create trigger hand_in_is_never_deleted before delete or truncate on hand_in
    for each statement execute function never_changed();

-- ── payment ─────────────────────────────────────────────────────────────────────────────────────

-- Lists: newest first for everyone, for one member of staff, for a team; by amount; by contract.
create index payment_by_time on payment (created_at desc, id collate "C" desc);
create index payment_by_staff on payment (staff, created_at desc, id collate "C" desc);
create index payment_by_team on payment (team, created_at desc, id collate "C" desc);
create index payment_by_contract on payment (contract_number, created_at desc);
create index payment_by_amount on payment (amount, created_at, id collate "C");
create index payment_by_customer_name on payment using gin (customer_name_folded gin_trgm_ops);
create index payment_changed on payment (updated_at);
create index payment_live on payment (expires_at) where status in ('PENDING', 'PROCESSING');
create index payment_unverified on payment (created_at) where needs_verification;
create index payment_held on payment (staff) where custody = 'HELD_BY_STAFF';
create index payment_of_hand_in on payment (hand_in) where hand_in is not null;
create index payment_of_order on payment (merchant_order, created_at)
    where merchant_order is not null;

-- An order has at most one live or successful payment.
create unique index one_collection_of_an_order on payment (merchant_order)
    where merchant_order is not null and status in ('PENDING', 'PROCESSING', 'SUCCESS');

-- A payment is for a contract or for an order, never for both or neither.
alter table payment add constraint payment_is_for_one_thing
    check ((contract_number is null) <> (merchant_order is null));

-- An outcome is permanent: SUCCESS is never left, and the other final states only by LATE_SUCCESS.
create function protect_payment() returns trigger language plpgsql as $$
begin
    if new.id <> old.id or new.amount <> old.amount or new.currency <> old.currency
       or new.contract_number is distinct from old.contract_number
       or new.merchant_order is distinct from old.merchant_order or new.method <> old.method
       or new.staff <> old.staff or new.business_date <> old.business_date
       or new.created_at <> old.created_at then
        raise exception 'payment %: what was asked for never changes', old.id;
    end if;
    if new.version < old.version or (new.status <> old.status and new.version = old.version) then
        raise exception 'payment %: its version only grows', old.id;
    end if;
    if new.status <> old.status then
        if old.status = 'SUCCESS' then
            raise exception 'payment %: SUCCESS is never left, only reversed', old.id;
        elsif old.status in ('FAILED', 'EXPIRED', 'CANCELLED')
              and not (new.status = 'SUCCESS' and new.late) then
            raise exception 'payment %: % is left only by LATE_SUCCESS', old.id, old.status;
        elsif old.status = 'PROCESSING' and new.status = 'PENDING' then
            raise exception 'payment %: what was sent cannot be unsent', old.id;
        end if;
    end if;
    return new;
end $$;
create trigger payment_is_protected before update on payment
    for each row execute function protect_payment();
create trigger payment_is_never_deleted before delete or truncate on payment
    for each statement execute function never_changed();

-- A SUCCESS has postings of exactly its amount in the same transaction. Postings of its reversals,
-- which a failed refund returns to the same account, do not count.
create function success_is_posted() returns trigger language plpgsql as $$
begin
    if new.status = 'SUCCESS' and coalesce((
        select sum(posting.amount) from entry join posting on posting.entry = entry.id
        where entry.payment = new.id and entry.reversal is null
          and posting.credit = 'customer_receivable'), 0) <> new.amount then
        raise exception 'payment %: a SUCCESS is posted to the ledger, once and whole', new.id;
    end if;
    return null;
end $$;
create constraint trigger success_is_posted after insert or update of status on payment
    deferrable initially deferred for each row execute function success_is_posted();

-- Cash is held, then handed in, then reconciled; it is voided only while it is held.
create function protect_custody() returns trigger language plpgsql as $$
begin
    if (old.custody, new.custody) not in (
        ('HELD_BY_STAFF', 'HANDED_IN'), ('HELD_BY_STAFF', 'VOIDED'),
        ('HANDED_IN', 'RECONCILED')) then
        raise exception 'payment %: cash that is % does not become %',
            old.id, old.custody, new.custody;
    end if;
    return new;
end $$;
create trigger custody_is_protected before update of custody on payment
    for each row when (old.custody is not null and old.custody is distinct from new.custody)
    execute function protect_custody();

-- ── payment_item ────────────────────────────────────────────────────────────────────────────────

-- A bill or fee has at most one live or successful payment.
create unique index one_collection_of_a_bill
    on payment_item (contract_number, type, item_id) where locked;

create function protect_item() returns trigger language plpgsql as $$
begin
    if new.payment <> old.payment or new.type <> old.type or new.item_id <> old.item_id
       or new.amount <> old.amount or new.contract_number <> old.contract_number then
        raise exception 'payment item %: only its lock changes', old.id;
    end if;
    return new;
end $$;
create trigger payment_item_is_protected before update on payment_item
    for each row execute function protect_item();
create trigger payment_item_is_never_deleted before delete or truncate on payment_item
    for each statement execute function never_changed();

-- ── attempt ─────────────────────────────────────────────────────────────────────────────────────

create index attempt_of_payment on attempt (payment, created_at);
create index attempt_gateway_id on attempt (gateway_id) where gateway_id is not null;

create trigger attempt_is_never_deleted before delete or truncate on attempt
    for each statement execute function never_changed();

-- ── reversal ────────────────────────────────────────────────────────────────────────────────────

create index reversal_of_payment on reversal (payment, created_at);
create index reversal_open on reversal (created_at)
    where status in ('AWAITING_APPROVAL', 'PENDING', 'UNKNOWN');
create unique index one_void_of_a_payment on reversal (payment)
    where kind = 'VOID' and status <> 'FAILED';

-- DONE is never left. FAILED is left only where the gateway proves a refund that it was asked for.
create function protect_reversal() returns trigger language plpgsql as $$
begin
    if new.id <> old.id or new.payment <> old.payment or new.kind <> old.kind
       or new.amount <> old.amount or new.currency <> old.currency or new.source <> old.source
       or new.share is distinct from old.share
       or new.share_currency is distinct from old.share_currency
       or new.requested_by <> old.requested_by or new.created_at <> old.created_at then
        raise exception 'reversal %: what was asked for never changes', old.id;
    end if;
    if new.status <> old.status and (
        old.status = 'DONE' or old.status = 'FAILED' and not (
            new.status = 'DONE' and old.kind = 'REFUND' and old.gateway is not null
            and old.sent_at is not null)) then
        raise exception 'reversal %: % is never left', old.id, old.status;
    end if;
    return new;
end $$;
create trigger reversal_is_protected before update on reversal
    for each row execute function protect_reversal();
create trigger reversal_is_never_deleted before delete or truncate on reversal
    for each statement execute function never_changed();

-- Shares are in the currency that the gateway was asked for, and never exceed that amount.
create function share_is_covered() returns trigger language plpgsql as $$
declare
    charged attempt;
begin
    perform 1 from payment where id = new.payment for update; -- one reversal at a time
    select * into charged from attempt where reference = new.attempt;
    if charged.currency is distinct from new.share_currency or charged.amount < (
        select sum(share) from reversal where attempt = new.attempt and status <> 'FAILED') then
        raise exception 'reversal %: its share is not of what % was asked for, or of more',
            new.id, new.attempt;
    end if;
    return null;
end $$;
create constraint trigger share_is_covered after insert on reversal
    deferrable initially deferred for each row when (new.share is not null)
    execute function share_is_covered();

-- ── entry ───────────────────────────────────────────────────────────────────────────────────────

create index entry_of_payment on entry (payment);
create index entry_of_reversal on entry (reversal) where reversal is not null;
create index entry_of_hand_in on entry (hand_in) where hand_in is not null;
create index entry_by_time on entry (created_at);

create trigger entry_is_append_only before update or delete or truncate on entry
    for each statement execute function never_changed();

-- ── posting ─────────────────────────────────────────────────────────────────────────────────────

create index posting_of_entry on posting (entry);
create index posting_of_staff_cash on posting (staff) include (entry, debit, amount)
    where debit = 'staff_cash' or credit = 'staff_cash';
create index posting_by_accounts on posting (debit, credit, currency) include (amount);

create trigger posting_is_append_only before update or delete or truncate on posting
    for each statement execute function never_changed();

-- What leaves one of these accounts for a payment never exceeds what the payment brought there:
-- refunds are at most what was captured, and a customer's credit is not refunded twice.
create function posting_is_covered() returns trigger language plpgsql as $$
declare
    payment_id varchar;
    balance bigint;
begin
    select payment into payment_id from entry where id = new.entry;
    if payment_id is null then
        return null;
    end if;
    perform 1 from payment where id = payment_id for update; -- one posting at a time
    select sum(case when posting.credit = new.debit then posting.amount else 0 end)
         - sum(case when posting.debit = new.debit then posting.amount else 0 end)
      into balance
      from entry join posting on posting.entry = entry.id
     where entry.payment = payment_id and posting.currency = new.currency;
    if balance < 0 then
        raise exception 'payment %: more leaves % than it brought there', payment_id, new.debit;
    end if;
    return null;
end $$;
create constraint trigger posting_is_covered after insert on posting
    deferrable initially deferred for each row
    when (new.debit in ('customer_receivable', 'customer_credit', 'suspense', 'refunds_payable'))
    execute function posting_is_covered();

-- ── money_case ──────────────────────────────────────────────────────────────────────────────────

create index money_case_by_time on money_case (opened_at desc, id collate "C" desc);
create index money_case_open on money_case (opened_at) where status <> 'RESOLVED';
create index money_case_of_payment on money_case (payment) where payment is not null;

-- Two people resolve a case: with the same decision and, where they name one, the same amount.
-- One person may close what another asked approval for.
create function protect_case() returns trigger language plpgsql as $$
declare
    stated_amount bigint;
begin
    if old.status = 'RESOLVED' then
        raise exception 'case %: it is resolved', old.id;
    end if;
    if new.status = 'RESOLVED' then
        select amount into stated_amount from case_approval
         where money_case = new.id and decision = new.decision order by id desc limit 1;
        if (select count(distinct actor) from case_approval
             where money_case = new.id
               and (decision = new.decision and amount is not distinct from stated_amount
                    or (new.kind, new.decision) = ('APPROVAL', 'CLOSE'))) < 2 then
            raise exception
                'case %: two people resolve it; one may refuse what another asked for', old.id;
        end if;
    end if;
    return new;
end $$;
create trigger money_case_is_protected before update on money_case
    for each row execute function protect_case();
create trigger money_case_is_never_deleted before delete or truncate on money_case
    for each statement execute function never_changed();

-- ── case_approval ───────────────────────────────────────────────────────────────────────────────

create index case_approval_of_case on case_approval (money_case);

create trigger case_approval_is_append_only before update or delete or truncate on case_approval
    for each statement execute function never_changed();

-- ── webhook_event ───────────────────────────────────────────────────────────────────────────────

create index webhook_event_open on webhook_event (received_at)
    where outcome in ('RECEIVED', 'UNMATCHED');
create index webhook_event_reference on webhook_event (reference);
create index webhook_event_outcome on webhook_event (outcome, received_at, id collate "C");

-- ── audit_event ─────────────────────────────────────────────────────────────────────────────────

-- The sealer links rows in the order of their transactions, and only those that no open transaction
-- can still precede. Each row therefore holds its transaction's id.
alter table audit_event alter column txid set default pg_current_xact_id()::text::bigint;
create index audit_event_by_transaction on audit_event (txid, id);
create index audit_event_of_payment on audit_event (payment_id) where payment_id is not null;

create trigger audit_event_is_append_only before update or delete or truncate on audit_event
    for each statement execute function never_changed();

-- ── audit_link, seal, payment_record ────────────────────────────────────────────────────────────

create trigger audit_link_is_append_only before update or delete or truncate on audit_link
    for each statement execute function never_changed();
create trigger seal_is_append_only before update or delete or truncate on seal
    for each statement execute function never_changed();

create index payment_record_signed on payment_record (signed_at);
create trigger payment_record_is_append_only before update or delete or truncate on payment_record
    for each statement execute function never_changed();

-- ── settlement, settlement_line ─────────────────────────────────────────────────────────────────

create trigger settlement_is_append_only before update or delete or truncate on settlement
    for each statement execute function never_changed();

create index settlement_line_by_day on settlement_line (gateway, day);
create index settlement_line_reference on settlement_line (reference);
create trigger settlement_line_is_never_deleted before delete or truncate on settlement_line
    for each statement execute function never_changed();

-- ── privileges ──────────────────────────────────────────────────────────────────────────────────

-- The application acts as a role that owns nothing.
do $$
begin
    if not exists (select from pg_roles where rolname = 'mobinet_app') then
        create role mobinet_app nologin;
    end if;
exception when duplicate_object or unique_violation then null; -- it exists by now
end $$;
do $$
begin
    if not pg_has_role(current_user, 'mobinet_app', 'member') then
        execute format('grant mobinet_app to %I', current_user);
    end if;
end $$;

grant usage on schema public to mobinet_app;
grant select, insert on all tables in schema public to mobinet_app;
revoke insert on migration from mobinet_app;
grant update on staff, session, api_client, merchant_order, hand_in, payment, payment_item, attempt,
    idempotency_key, staff_limit, reversal, money_case, webhook_event, notification,
    settlement_line, invariant to mobinet_app;
grant delete on idempotency_key, session to mobinet_app;
grant all on pgqueuer, pgqueuer_log, pgqueuer_statistics, pgqueuer_schedules to mobinet_app;
grant usage, select on all sequences in schema public to mobinet_app;
