-- What no column can say of what a refund is in another currency. Run once, by the owner.

-- What is shared out is of what its gateway was asked for, in that currency, and never more.
create function share_is_covered() returns trigger language plpgsql as $$
declare
    asked attempt;
begin
    perform 1 from payment where id = new.payment for update; -- two that take the rest wait for each other
    select * into asked from attempt where reference = new.attempt;
    if asked.currency is distinct from new.share_currency or asked.amount < (
        select sum(share) from reversal where attempt = new.attempt and status <> 'FAILED') then
        raise exception 'reversal %: its share is not of what % was asked for, or of more', new.id, new.attempt;
    end if;
    return null;
end $$;
create constraint trigger share_is_covered after insert on reversal
    deferrable initially deferred for each row when (new.share is not null)
    execute function share_is_covered();

create or replace function protect_reversal() returns trigger language plpgsql as $$
begin
    if new.id <> old.id or new.payment <> old.payment or new.kind <> old.kind
       or new.amount <> old.amount or new.currency <> old.currency or new.source <> old.source
       or new.share is distinct from old.share or new.share_currency is distinct from old.share_currency
       or new.requested_by <> old.requested_by or new.created_at <> old.created_at then
        raise exception 'reversal %: what was asked for never changes', old.id;
    end if;
    if new.status <> old.status and old.status in ('DONE', 'FAILED') then
        raise exception 'reversal %: % is never left', old.id, old.status;
    end if;
    return new;
end $$;
