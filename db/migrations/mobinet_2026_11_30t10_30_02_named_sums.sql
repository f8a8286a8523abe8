-- Two people resolve a case by the same decision, and by the same sum where they name one. Run once, by the owner.

create or replace function protect_case() returns trigger language plpgsql as $$
declare
    named bigint;
begin
    if old.status = 'RESOLVED' then
        raise exception 'case %: it is resolved', old.id;
    end if;
    if new.status = 'RESOLVED' then
        select amount into named from case_approval
         where money_case = new.id and decision = new.decision order by id desc limit 1;
        if (select count(distinct actor) from case_approval
             where money_case = new.id
               and (decision = new.decision and amount is not distinct from named
                    or (new.kind, new.decision) = ('APPROVAL', 'CLOSE'))) < 2 then
            raise exception 'case %: two people resolve it; one may refuse what another asked for', old.id;
        end if;
    end if;
    return new;
end $$;
