"""
`make demo`: a payment from login to receipt, step by step, on a system of its own.

Exits 0 only if every step succeeds; otherwise it names the failed step and shows the end of the
logs. It leaves no file or process behind, also after Ctrl-C.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import httpx

from integrations.embedded import child_of_this, wait_until_stopped
from tests.demo.narration import Story, clock, dong, drawn, paint, say, status
from tests.support.stack.client import Client, is_genuine, payment_item
from tests.support.stack.processes import CLEAN_ENVIRONMENT, ROOT, free_ports
from tests.support.stack.sandbox import EFFECTS_ONCE, Json, Sandbox
from tests.support.stack.waiting import eventually

CONTRACT = "SGFDN1015"
STAFF = "NV002"
SECONDS_TO_START = 60.0
SECONDS_TO_STOP = 40.0


class StepFailed(Exception):
    """A check of a step failed."""


def main() -> int:
    signal.signal(signal.SIGTERM, _interrupted)
    story = Story()
    say(paint("bold", "Mobinet: collecting what a customer owes, from login to receipt\n"))
    with system_folder() as folder:
        system = System(folder)
        try:
            with system.running(story):
                asyncio.run(play(story, system))
        except KeyboardInterrupt:
            say(paint("red", "\nInterrupted; nothing is left behind."))
            return 130
        except Exception as failure:
            say(f"\n{paint('red', f'✗ failed at: {story.at}')}\n  {_reason(failure)}")
            say(f"\n{paint('dim', system.log_tail())}")
            return 1
    say(f"\n{paint('green', '✓')} {paint('bold', 'All of it held.')} {story.duration()}")
    return 0


async def play(story: Story, system: System) -> None:
    async with Client(system.api) as phone, Sandbox(system.sandbox) as sandbox:
        await log_in(story, phone)
        bill, fee = await look_up(story, phone)
        cash = await take_cash(story, phone, bill)
        qr = await open_qr(story, phone, fee)
        paid = await watch_it_being_paid(story, phone, sandbox, qr)
        for payment in (cash, paid):
            await check_receipt(story, phone, payment)
        await compare(story, system, phone, sandbox, [cash, paid])


# ── the story ────────────────────────────────────────────────────────────────────────────────────


async def log_in(story: Story, phone: Client) -> None:
    with story.step("A collector logs in"):
        await phone.log_in(STAFF)
        staff = phone.session["staff"]
        daily = (await phone.limits())["DAILY"]
        story.note(f"{staff['name']} ({staff['staffId']}, {staff['role']})")
        story.note(f"may take {dong(daily['remaining'])} of {dong(daily['limit'])} today")


async def look_up(story: Story, phone: Client) -> tuple[Json, Json]:
    with story.step(f"looks up contract {CONTRACT}"):
        customer = await phone.execute("CustomerBills", contractNumber=CONTRACT)
        (bill,), (fee,) = customer["bills"], customer["fees"]
        story.note(f"{customer['name']}, {customer['serviceAddress']}")
        for owed in (bill, fee):
            story.note(
                f"owes {dong(owed['amount'])}  {payment_item(owed)['id']}  {owed['content']}"
            )
        check(
            customer["totalOutstanding"] == bill["amount"] + fee["amount"],
            "the total is not what the bill and the fee come to",
        )
        return bill, fee


async def take_cash(story: Story, phone: Client, bill: Json) -> Json:
    with story.step("takes the bill in cash"):
        before = (await phone.limits())["DAILY"]
        cash = await phone.pay(CONTRACT, "CASH", bill)
        after = (await phone.limits())["DAILY"]
        story.note(f"{cash['id']}  {status(cash)}  {cash['custody']}")
        story.note(f"the limit fell to {dong(after['remaining'])}")
        check(cash["status"] == "SUCCESS", "cash is no success at once")
        check(
            before["remaining"] - after["remaining"] == cash["amount"],
            "the limit did not fall by the amount",
        )
    with story.step("and cannot take it twice"):
        again = await phone.process(CONTRACT, "CASH", bill)
        check(again["payment"] is None, "the bill was collected twice")
        (refusal,) = again["errors"]
        check(refusal["code"] == "BILL_ALREADY_PAID", f"refused as {refusal['code']}")
        story.note(f"{refusal['code']}: {refusal['message']}")
    return cash


async def open_qr(story: Story, phone: Client, fee: Json) -> Json:
    with story.step("opens a VNPAY QR for the fee"):
        qr = await phone.pay(CONTRACT, "VNPAY_QR", fee)
        check(qr["status"] == "PROCESSING", f"the QR is {qr['status']}")
        story.note(
            f"{qr['id']}  {status(qr)}  {dong(qr['amount'])}, until {clock(qr['expiresAt'])}"
        )
    say(drawn(qr["qr"]["payload"]))
    return qr


async def watch_it_being_paid(story: Story, phone: Client, sandbox: Sandbox, qr: Json) -> Json:
    with story.step("watches it live, while the customer pays at the bank"):
        async with phone.watch(qr["id"]) as events:
            seen = [await events.next()]
            story.note(f"version {seen[0]['version']}  {status(seen[0])}  the socket is open")
            scanned = time.perf_counter()
            await sandbox.pay(qr=qr["qr"]["payload"])
            async for event in events:
                seen.append(event)
                after = (time.perf_counter() - scanned) * 1000
                story.note(
                    f"version {event['version']}  {status(event)}  {after:.0f} ms after the scan"
                )
        versions = [event["version"] for event in seen]
        check(versions == sorted(set(versions)), f"versions went back: {versions}")
        check(seen[-1]["status"] == "SUCCESS", f"it ended as {seen[-1]['status']}")
        return seen[-1]


async def check_receipt(story: Story, phone: Client, payment: Json) -> None:
    with story.step(f"The receipt of {payment['method']} can be checked by anyone"):
        jwks = (await phone.get("/.well-known/jwks.json")).json()
        answer = await phone.get(payment["confirmationLink"], accept="application/json")
        receipt = answer.raise_for_status().json()
        text, key = receipt["payload"], receipt["key_id"]
        facts = json.loads(text)
        check(facts["transaction_id"] == payment["id"], "it is another payment's receipt")
        check(facts["amount"] == payment["amount"], "it is about another amount")
        check(facts["status"] == "SUCCESS", f"it says {facts['status']}")
        check(is_genuine(text, receipt["value"], key, jwks), "its signature does not verify")
        forged = text.replace(str(payment["amount"]), str(payment["amount"] * 10))
        check(
            not is_genuine(forged, receipt["value"], key, jwks), "a forged amount verifies as well"
        )
        story.note(payment["confirmationLink"])
        story.note(f"Ed25519, key {key[:16]}…: genuine; with another amount: refused")


async def compare(
    story: Story, system: System, phone: Client, sandbox: Sandbox, payments: list[Json]
) -> None:
    with story.step("The proof: every other system believes the same, once"):
        for payment in payments:
            effects = await eventually(
                lambda id=payment["id"]: sandbox.effects(id),
                lambda effects: effects == EFFECTS_ONCE,
            )
            story.note(
                f"{payment['id']}  Revenue {effects['records']}×, debt {effects['debts']}×,"
                f" message {effects['messages']}×"
            )
        truth = await sandbox.truth()
        collected = {
            payment["id"]: sorted((item["id"], item["amount"]) for item in payment["items"])
            for payment in payments
        }
        recorded = {
            record["transaction_id"]: sorted(
                (item["id"], item["amount"]) for item in record["items"]
            )
            for record in truth["records"]
        }
        check(recorded == collected, f"Revenue has {recorded}, we have {collected}")
        items = [item["id"] for record in truth["records"] for item in record["items"]]
        check(len(items) == len(set(items)), "a bill was recorded twice")
        (qr,) = (payment for payment in payments if payment["method"] == "VNPAY_QR")
        reference = (await phone.office_view(qr["id"]))["gatewayReference"]
        charges = [
            (charge["reference"], charge["amount"], charge["status"]) for charge in truth["charges"]
        ]
        check(charges == [(reference, qr["amount"], "paid")], f"VNPAY has {charges}")
        check(truth["conflicts"] == [], f"something was tried twice: {truth['conflicts']}")
        listed = await phone.execute("Transactions", filter={"contractNumber": CONTRACT})
        check(
            {edge["node"]["id"] for edge in listed["edges"]} == set(collected),
            "our own list shows other payments",
        )
        story.note(f"{len(charges)} charge at VNPAY, {len(items)} items cleared, none twice")
    with story.step("and the customer owes nothing"):

        async def outstanding() -> int:
            customer: Json = await phone.execute("CustomerBills", contractNumber=CONTRACT)
            return customer["totalOutstanding"]

        await eventually(outstanding, lambda left: left == 0)
        story.note(dong(0))
    with story.step("`mobinet verify` finds nothing that was changed or lost"):
        found = await asyncio.to_thread(system.verified)
        check(all(invariant["holds"] for invariant in found), f"it does not hold: {found}")
        story.note(f"{len(found)} invariants hold, the signature of every record among them")


# ── the system ───────────────────────────────────────────────────────────────────────────────────


class System:
    """`mobinet run` with a data folder of its own, on free ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        port, sandbox_port, dashboard_port = free_ports(3)
        self.api = f"http://127.0.0.1:{port}"
        self.sandbox = f"http://127.0.0.1:{sandbox_port}"
        self._env = {
            "MOBINET_DATA_DIR": str(folder),
            "MOBINET_PORT": str(port),
            "MOBINET_SANDBOX_PORT": str(sandbox_port),
            "MOBINET_DASHBOARD_PORT": str(dashboard_port),
        }
        self._log = folder / "run.log"

    @contextlib.contextmanager
    def running(self, story: Story) -> Iterator[None]:
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "mobinet", "run"],
                cwd=ROOT,
                env=CLEAN_ENVIRONMENT | self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the demo alone, which then stops it
                preexec_fn=child_of_this(signal.SIGTERM),
            )
        try:
            with story.step("PostgreSQL, Valkey, the sandbox, the API and a worker start"):
                self._wait(process)
                story.note(f"API {self.api}, sandbox {self.sandbox}")
            yield
            with story.step("Everything stops, finishing what is in flight"):
                process.terminate()
                code = process.wait(SECONDS_TO_STOP)
                check(code == 0, f"`mobinet run` ended with {code}")
        finally:
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(SECONDS_TO_STOP)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def verified(self) -> list[Json]:
        """Return each invariant of `mobinet verify` with whether it holds."""
        done = subprocess.run(
            [sys.executable, "-m", "mobinet", "verify", "--json", "--signatures"],
            cwd=ROOT,
            env=CLEAN_ENVIRONMENT | self._env,
            capture_output=True,
            check=False,
            timeout=60,
        )
        check(bool(done.stdout), done.stderr.decode()[-2000:])
        return json.loads(done.stdout)["invariants"]

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + SECONDS_TO_START
        while not (self.folder / "run.json").exists():
            check(process.poll() is None, "`mobinet run` ended by itself")
            check(time.monotonic() < deadline, f"not up within {SECONDS_TO_START:.0f} s")
            time.sleep(0.02)
        for address in (f"{self.api}/readyz", f"{self.sandbox}/healthz"):
            answer = httpx.get(address, timeout=5, trust_env=False)
            check(answer.status_code == 200, f"{address} answers {answer.text}")

    def log_tail(self) -> str:
        logs = [self._log, *sorted(self.folder.glob("*/*.log"))]
        ends = ((log.name, log.read_text(errors="replace").splitlines()[-15:]) for log in logs)
        return "\n".join(f"── {name}\n" + "\n".join(lines) for name, lines in ends if lines)


@contextlib.contextmanager
def system_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="mobinet-demo-"))
    try:
        yield folder
    finally:
        if (folder / "embedded").exists():
            wait_until_stopped(folder)  # the servers have stopped, so no process writes there
        shutil.rmtree(folder, ignore_errors=True)


# ── failures ────────────────────────────────────────────────────────────────────────────────────


def check(holds: bool, failure: str) -> None:
    if not holds:
        raise StepFailed(failure)


def _reason(failure: BaseException) -> str:
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return (
        f"{failure}" if isinstance(failure, StepFailed) else f"{type(failure).__name__}: {failure}"
    )


def _interrupted(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
