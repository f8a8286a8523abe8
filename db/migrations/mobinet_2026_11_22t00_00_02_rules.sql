-- What no column can say. Run once, by the owner, after the tables and the job queue are made.

-- One live or successful collection of a bill, whoever asks and however often.
create unique index one_collection_of_a_bill
    on payment_item (contract_number, type, item_id) where locked;

-- One event of a gateway that carries no identity may come any number of times: bad signatures.
create index webhook_event_open on webhook_event (received_at) where outcome in ('RECEIVED', 'UNMATCHED');
create index webhook_event_reference on webhook_event (reference);

-- Reading: newest first for everyone, for one member of staff, for a team; by amount; by contract.
create index payment_by_time on payment (created_at desc, id collate "C" desc);
create index payment_by_staff on payment (staff, created_at desc, id collate "C" desc);
create index payment_by_team on payment (team, created_at desc, id collate "C" desc);
create index payment_by_contract on payment (contract_number, created_at desc);
create index payment_by_amount on payment (amount, created_at, id collate "C");
create index payment_changed on payment (updated_at);
create index payment_live on payment (expires_at) where status in ('PENDING', 'PROCESSING');
create index payment_unverified on payment (created_at) where needs_verification;
create index attempt_of_payment on attempt (payment, created_at);
create index attempt_gateway_id on attempt (gateway_id) where gateway_id is not null;
create index entry_of_payment on entry (payment);
create index posting_of_entry on posting (entry);
create index audit_event_of_payment on audit_event (payment_id) where payment_id is not null;
create index session_of_staff on session (staff);
create index money_case_open on money_case (opened_at) where status <> 'RESOLVED';

-- Each running process takes a number and holds it as an advisory lock: a lock gone is a process gone.
create sequence process_number as integer cycle;

-- An outcome is for ever. SUCCESS is never left; the other final states only by LATE_SUCCESS.
create function protect_payment() returns trigger language plpgsql as $$
begin
    if new.id <> old.id or new.amount <> old.amount or new.currency <> old.currency
       or new.contract_number <> old.contract_number or new.method <> old.method
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

-- A SUCCESS has its postings in the same transaction, worth at least what was asked for.
create function success_is_posted() returns trigger language plpgsql as $$
begin
    if new.status = 'SUCCESS' and coalesce((
        select sum(posting.amount) from entry join posting on posting.entry = entry.id
        where entry.payment = new.id and posting.credit = 'customer_receivable'), 0) <> new.amount then
        raise exception 'payment %: a SUCCESS is posted to the ledger, once and whole', new.id;
    end if;
    return null;
end $$;
create constraint trigger success_is_posted after insert or update of status on payment
    deferrable initially deferred for each row execute function success_is_posted();

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

-- What was written stays: neither changed nor deleted, by trigger and by privilege.
create function never_changed() returns trigger language plpgsql as $$
begin
    raise exception '% rows are added, never changed or deleted', tg_table_name;
end $$;
create trigger posting_is_append_only before update or delete or truncate on posting
    for each statement execute function never_changed();
create trigger entry_is_append_only before update or delete or truncate on entry
    for each statement execute function never_changed();
create trigger audit_event_is_append_only before update or delete or truncate on audit_event
    for each statement execute function never_changed();
create trigger payment_is_never_deleted before delete or truncate on payment
    for each statement execute function never_changed();
create trigger payment_item_is_never_deleted before delete or truncate on payment_item
    for each statement execute function never_changed();
create trigger attempt_is_never_deleted before delete or truncate on attempt
    for each statement execute function never_changed();

-- The application owns nothing and acts as a lesser role.
do $$
begin
    if not exists (select from pg_roles where rolname = 'mobinet_app') then
        create role mobinet_app nologin;
    end if;
exception when duplicate_object or unique_violation then null; -- another database of this server made it
end $$;
do $$
begin
    if not pg_has_role(current_user, 'mobinet_app', 'member') then
        execute format('grant mobinet_app to %I', current_user);
    end if;
end $$;

grant usage on schema public to mobinet_app;
grant select, insert on all tables in schema public to mobinet_app;
grant update on staff, session, api_client, payment, payment_item, attempt, idempotency_key,
    staff_limit, money_case, webhook_event, notification to mobinet_app;
grant delete on idempotency_key, session to mobinet_app;
grant all on pgqueuer, pgqueuer_log, pgqueuer_statistics, pgqueuer_schedules to mobinet_app;
grant usage, select on all sequences in schema public to mobinet_app;
revoke insert on migration from mobinet_app;
