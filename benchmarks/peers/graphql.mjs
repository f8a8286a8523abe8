// mercurius with its JIT over Mobinet's own schema: the same statements, the same upstream calls, and no login.
//   BENCH_PORT  BENCH_SDL  BENCH_STATEMENT  BENCH_SANDBOX  PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE

import { readFileSync } from "node:fs";
import Fastify from "fastify";
import mercurius from "mercurius";
import pg from "pg";
import { Pool } from "undici";

const CONNECTIONS = 10;
const UPSTREAM_CONNECTIONS = 100;
const BIGINT = 20;
const MAX_COUNTED = 10_000;

pg.types.setTypeParser(BIGINT, Number);
const database = new pg.Pool({ max: CONNECTIONS });
const sandbox = new Pool(process.env.BENCH_SANDBOX, { connections: UPSTREAM_CONNECTIONS });

const one = process.env.BENCH_STATEMENT;
const page = one.replace(
  /where p\.id = \$1\s*$/,
  `where true order by p.created_at desc, p.id collate "C" desc limit $1`,
);
const totals = `
select count(*) as count, coalesce(sum(amount), 0)::bigint as amount
  from (select p.amount from payment p where true limit $1) match`;
const held = `
select i.type, i.item_id, p.id, p.staff, s.name, p.method, p.status, p.expires_at, p.completed_at
  from payment_item i join payment p on p.id = i.payment join staff s on s.staff_id = p.staff
 where i.locked and i.contract_number = $1`;

const rows = async (name, text, values) => (await database.query({ name, text, values })).rows;

const payment = (row) => ({
  id: row.id,
  version: row.version,
  status: row.status,
  method: row.method,
  amount: row.amount,
  currency: row.currency,
  contractNumber: row.contract_number,
  customerName: row.customer_name,
  staff: { staffId: row.staff, name: row.staff_name },
  order: null,
  gateway: row.a_gateway,
  gatewayReference: row.a_reference,
  needsVerification: row.needs_verification,
  holdReason: row.hold_reason,
  custody: row.custody,
  paymentUrl: row.a_payment_url,
  confirmationLink: `/receipts/${row.receipt_token}`,
  qr: null,
  items: JSON.parse(row.items ?? "[]").map(([type, id, amount]) => ({ type, id, amount })),
  failure: null,
  createdAt: row.created_at.toISOString(),
  updatedAt: row.updated_at.toISOString(),
  completedAt: row.completed_at?.toISOString() ?? null,
  expiresAt: row.expires_at?.toISOString() ?? null,
});

const upstream = async (system, path) => {
  const headers = { "x-api-key": `sandbox-${system}-key` };
  const { body } = await sandbox.request({ method: "GET", path: `/${system}${path}`, headers });
  return body.json();
};

const customer = async (number) => {
  const [who, bills, fees, debt, history, locks] = await Promise.all([
    upstream("customer", `/api/customers/${number}`),
    upstream("revenue", `/api/bills/${number}`),
    upstream("revenue", `/api/fees/${number}`),
    upstream("debt", `/api/debts/${number}`),
    upstream("revenue", `/api/payment-history/${number}`),
    rows("held", held, [number]),
  ]);
  const lock = (id) => locks.find((each) => each.item_id === id) ?? null;
  const owed = [...bills.bills, ...fees.fees].filter((each) => each.status === "unpaid");
  return {
    customerId: who.customer_id,
    name: who.name,
    contractNumber: who.contract_number,
    contractStatus: who.contract_status.toUpperCase(),
    serviceAddress: who.service_address,
    phoneNumbers: who.phone_numbers.map((phone) => ({
      number: phone.number,
      type: phone.type,
      hasHifpt: phone.has_hifpt,
      isMessaging: phone.is_messaging,
    })),
    bills: bills.bills.map((bill) => ({
      billNumber: bill.bill_number,
      periodFrom: bill.period_from,
      periodTo: bill.period_to,
      amount: bill.amount,
      content: bill.content,
      issueDate: bill.issue_date,
      status: bill.status.toUpperCase(),
      lock: lock(bill.bill_number),
    })),
    fees: fees.fees.map((fee) => ({
      feeId: fee.fee_id,
      content: fee.content,
      amount: fee.amount,
      status: fee.status.toUpperCase(),
    })),
    debt: { totalDebt: debt.total_debt, overdueMonths: debt.overdue_months, status: debt.status },
    totalOutstanding: owed.reduce((sum, each) => sum + each.amount, 0),
    paymentHistory: history.payments.map((past) => ({
      paidAt: past.paid_at,
      amount: past.amount,
      method: past.method,
      transactionId: past.transaction_id,
    })),
  };
};

const payments = async (first) => {
  const [found, [sum]] = await Promise.all([
    rows("page", page, [first + 1]),
    rows("totals", totals, [MAX_COUNTED + 1]),
  ]);
  const edges = found.slice(0, first).map((row) => ({ cursor: row.id, node: payment(row) }));
  const exact = sum.count <= MAX_COUNTED;
  const count = exact ? sum.count : MAX_COUNTED;
  const amount = exact ? sum.amount : null;
  return {
    totalCount: count,
    totalAmount: amount,
    totals: { count, amount, exact },
    edges,
    pageInfo: { hasNextPage: found.length > first, endCursor: edges.at(-1)?.cursor ?? null },
  };
};

const resolvers = {
  Query: {
    payment: async (_, { id }) => payment((await rows("one", one, [id]))[0]),
    payments: (_, { first }) => payments(first ?? 50),
    customer: (_, { contractNumber }) => customer(contractNumber),
  },
};

const server = Fastify({ logger: false });
server.register(mercurius, {
  schema: readFileSync(process.env.BENCH_SDL, "utf8"),
  resolvers,
  jit: 1,
  graphiql: false,
  resolverValidationOptions: { requireResolversForResolveType: "ignore" },
});
server.get("/", async () => "ok");
await server.listen({ host: "127.0.0.1", port: Number(process.env.BENCH_PORT) });
