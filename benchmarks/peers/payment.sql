select p.*, s.name as staff_name, a.reference as a_reference, a.gateway as a_gateway, a.status as a_status,
       a.amount as a_amount, a.currency as a_currency, a.created_at as a_created_at,
       a.expires_at as a_expires_at, a.sent_at as a_sent_at, a.answered_at as a_answered_at,
       a.gateway_id as a_gateway_id, a.payment_url as a_payment_url, a.qr_payload as a_qr_payload,
       a.failure_code as a_failure_code, a.failure_message as a_failure_message,
       a.inquiries as a_inquiries, a.inquired_at as a_inquired_at, a.last_finding as a_last_finding,
       a.paid_under as a_paid_under, a.claimed_at as a_claimed_at, o.id as order_id,
       o.merchant as order_merchant, m.name as order_merchant_name, o.reference as order_reference,
       o.amount as order_amount, o.currency as order_currency, o.description as order_description,
       o.status as order_status, o.created_at as order_created_at, o.paid_at as order_paid_at,
       (select json_agg(json_build_array(i.type, i.item_id, i.amount) order by i.id)
          from payment_item i where i.payment = p.id)::text as items
  from payment p
  join staff s on s.staff_id = p.staff
  left join merchant_order o on o.id = p.merchant_order
  left join staff m on m.staff_id = o.merchant
  left join lateral (
      select * from attempt where attempt.payment = p.id order by created_at desc limit 1
  ) a on true
 where p.id = $1
