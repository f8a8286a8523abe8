-- DONE is never left. FAILED is left only by a refund that its gateway was asked for, and proves to have made.
create or replace function protect_reversal() returns trigger language plpgsql as $$
begin
    if new.id <> old.id or new.payment <> old.payment or new.kind <> old.kind
       or new.amount <> old.amount or new.currency <> old.currency or new.source <> old.source
       or new.share is distinct from old.share or new.share_currency is distinct from old.share_currency
       or new.requested_by <> old.requested_by or new.created_at <> old.created_at then
        raise exception 'reversal %: what was asked for never changes', old.id;
    end if;
    if new.status <> old.status and (
        old.status = 'DONE' or old.status = 'FAILED' and not (
            new.status = 'DONE' and old.kind = 'REFUND' and old.gateway is not null and old.sent_at is not null)) then
        raise exception 'reversal %: % is never left', old.id, old.status;
    end if;
    return new;
end $$;
