// Runs npm's graphql-ws against the address in its first argument, with the token in its second.
// It reads one command a line from stdin and writes one event a line to stdout.
import { createInterface } from "node:readline";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, token] = process.argv.slice(2);
const report = (event) => console.log(JSON.stringify(event));

let retry = () => {};

const client = createClient({
  url,
  webSocketImpl: WebSocket,
  connectionParams: { authorization: `Bearer ${token}` },
  // The client decides whether it reconnects, the test decides when.
  retryWait: () =>
    new Promise((resolve) => {
      retry = resolve;
      report({ event: "waiting" });
    }),
  on: {
    closed: ({ code, reason }) => report({ event: "closed", code, reason }),
    connected: () => report({ event: "connected" }),
  },
});

const subscribe = ({ name, query }) =>
  client.subscribe(
    { query },
    {
      next: (payload) => report({ event: "next", name, payload }),
      error: (error) =>
        report({ event: "error", name, ...(Array.isArray(error) ? { errors: error } : { code: error.code }) }),
      complete: () => report({ event: "complete", name }),
    },
  );

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  if (command.do === "subscribe") subscribe(command);
  if (command.do === "retry") retry();
}
process.exit(0);
