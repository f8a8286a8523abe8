// graphql-ws: every socket subscribes to one payment; POST /publish sends its new state to all of them.
//   BENCH_PORT

import { createServer } from "node:http";
import { buildSchema } from "graphql";
import { useServer } from "graphql-ws/use/ws";
import { WebSocketServer } from "ws";

const schema = buildSchema(`
  type Item { type: String! id: ID! amount: Int! }
  type Payment {
    id: ID! version: Int! status: String! method: String! amount: Int! currency: String!
    contractNumber: ID needsVerification: Boolean! paymentUrl: String confirmationLink: String
    items: [Item!]! custody: String createdAt: String! updatedAt: String! completedAt: String expiresAt: String
  }
  type Query { ok: Boolean }
  type Subscription { paymentStatus(id: ID!): Payment }
`);

const watchers = new Set();
let version = 1;

const payment = () => ({
  id: "TXN000000000001",
  version,
  status: version > 1 ? "SUCCESS" : "PROCESSING",
  method: "VNPAY_QR",
  amount: 250000,
  currency: "VND",
  contractNumber: "SGFDN2000",
  needsVerification: false,
  paymentUrl: null,
  confirmationLink: null,
  items: [{ type: "BILL", id: "U25SG0020000", amount: 250000 }],
  custody: null,
  createdAt: "2026-01-01T00:00:00Z",
  updatedAt: new Date().toISOString(),
  completedAt: null,
  expiresAt: "2026-01-01T00:15:00Z",
});

async function* changes() {
  yield { paymentStatus: payment() };
  while (true) {
    let wake;
    const changed = new Promise((resolve) => (wake = resolve));
    watchers.add(wake);
    try {
      yield { paymentStatus: await changed };
    } finally {
      watchers.delete(wake);
    }
  }
}

const server = createServer((request, response) => {
  if (request.method === "POST") {
    version += 1;
    const state = payment();
    const waiting = [...watchers];
    watchers.clear();
    for (const wake of waiting) wake(state);
  }
  response.writeHead(200, { "content-length": 2 }).end("ok");
});
const sockets = new WebSocketServer({ server, path: "/graphql", perMessageDeflate: false });
useServer({ schema, roots: { subscription: { paymentStatus: changes } } }, sockets);
server.listen(Number(process.env.BENCH_PORT), "127.0.0.1");
