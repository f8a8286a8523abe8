-- What no column can say of orders. Run once, by the owner.

-- One live or successful payment of an order, as there is one of a bill.
create unique index one_collection_of_an_order on payment (merchant_order)
    where merchant_order is not null and status in ('PENDING', 'PROCESSING', 'SUCCESS');
create index payment_of_order on payment (merchant_order, created_at) where merchant_order is not null;

-- A payment is for a contract or for an order, never both or neither, and of the whole order.
alter table payment add constraint payment_is_for_one_thing
    check ((contract_number is null) <> (merchant_order is null));

create or replace function protect_payment() returns trigger language plpgsql as $$
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

grant select, insert, update on merchant_order to mobinet_app;
