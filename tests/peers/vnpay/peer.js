// Runs functions of npm's vnpay: one call a line on stdin, its result a line on stdout.
import { createInterface } from "node:readline";
import { ignoreLogger, VNPay } from "vnpay";

const { fetch } = globalThis;
globalThis.fetch = (url, ...how) => {
  if (new URL(url).hostname !== "127.0.0.1") throw new Error(`only 127.0.0.1 may be called, not ${url}`);
  return fetch(url, ...how);
};

for await (const line of createInterface({ input: process.stdin })) {
  const { config, call, given } = JSON.parse(line);
  const vnpay = new VNPay({ ...config, loggerFn: ignoreLogger });
  let answer;
  try {
    answer = { result: await vnpay[call](given) };
  } catch (error) {
    answer = { failed: `${error} ${error.cause ?? ""}` };
  }
  console.log(JSON.stringify(answer));
}
