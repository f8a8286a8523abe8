"""What gateways tell the merchant, as often as it takes: stored first, so that a restart goes on."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

from sandbox import clock
from sandbox.store import Store
from sandbox.web import Json

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None


class Dialect(Protocol):
    name: str

    @property
    def spacing(self) -> tuple[float, ...]:
        """Seconds before each repeat; after the last one the gateway gives up."""
        ...

    def letter(self, fields: Json, *, forged: bool) -> Letter:
        """Signed when it is sent, and wrongly so when it is to be forged."""
        ...

    def settled(self, status_code: int, answer: Any) -> bool:
        """Whether this answer means that the merchant has understood."""
        ...


class Webhooks:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._dialects: dict[str, Dialect] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._client: httpx.AsyncClient | None = None

    def speak(self, dialect: Dialect) -> None:
        self._dialects[dialect.name] = dialect

    async def start(self) -> None:
        for row in self._store.all("select * from webhooks where due_at is not null"):
            self.later(row["id"], row["due_at"])

    async def stop(self) -> None:
        self.forget()
        if self._client:
            await self._client.aclose()

    def forget(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    def write(
        self,
        gateway: str,
        reference: str,
        fields: Json,
        *,
        forged: bool,
        burst: int,
        due_at: float | None,
    ) -> int:
        """Stores a webhook that is sent so many times at once; the caller delivers it, or `later`,
        or never, when none is due."""
        cursor = self._store.run(
            "insert into webhooks (gateway, reference, fields, forged, burst, due_at)"
            " values (?, ?, ?, ?, ?, ?)",
            gateway, reference, json.dumps(fields), forged, burst, due_at,
        )  # fmt: skip
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def later(self, webhook_id: int, due_at: float) -> None:
        async def wait() -> None:
            await asyncio.sleep(max(0.0, due_at - clock.now()))
            await self.deliver(webhook_id)

        task = asyncio.create_task(wait())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def deliver(self, webhook_id: int) -> list[Json]:
        """Sends what is due, all at once, and plans the repeat when nobody understood it."""
        row = self._store.one("select * from webhooks where id = ?", webhook_id)
        if row is None:
            return []
        dialect = self._dialects[row["gateway"]]
        fields, forged = json.loads(row["fields"]), bool(row["forged"])
        answers = await asyncio.gather(
            *(self._call(dialect, webhook_id, fields, forged) for _ in range(row["burst"]))
        )
        understood = any(
            answer["status_code"] is not None
            and dialect.settled(answer["status_code"], answer["body"])
            for answer in answers
        )
        sent = int(self._store.value("select count(*) from calls where webhook_id = ?", webhook_id))
        due_at = None
        # A forger does not insist.
        if not understood and not forged and 0 < sent <= len(dialect.spacing):
            due_at = clock.now() + dialect.spacing[sent - 1]
            self.later(webhook_id, due_at)
        self._store.run(
            "update webhooks set due_at = ?, burst = 1 where id = ?", due_at, webhook_id
        )
        return answers

    async def _call(self, dialect: Dialect, webhook_id: int, fields: Json, forged: bool) -> Json:
        # Not before the first webhook: it takes a third of the whole start.
        import httpx

        self._client = self._client or httpx.AsyncClient(timeout=15, trust_env=False)
        letter = dialect.letter(fields, forged=forged)
        status_code: int | None
        try:
            response = await self._client.request(
                letter.method, letter.url, headers=letter.headers, content=letter.body
            )
            status_code, body = response.status_code, response.text
        except httpx.HTTPError as error:
            status_code, body = None, f"{type(error).__name__}: {error}"
        self._store.run(
            "insert into calls (webhook_id, at, status_code, body) values (?, ?, ?, ?)",
            webhook_id, clock.now(), status_code, body,
        )  # fmt: skip
        return {"status_code": status_code, "body": _parsed(body)}

    def list(self, reference: str | None) -> list[Json]:
        """Every webhook, with all of its calls and what they were answered."""
        told: list[Json] = []
        for row in self._store.all("select * from webhooks order by id"):
            if reference not in (None, row["reference"]):
                continue
            calls = self._store.all("select * from calls where webhook_id = ?", row["id"])
            told.append(
                {
                    "gateway": row["gateway"],
                    "reference": row["reference"],
                    "forged": bool(row["forged"]),
                    "due_at": None if row["due_at"] is None else clock.iso(row["due_at"]),
                    "calls": [
                        {
                            "at": clock.iso(call["at"]),
                            "status_code": call["status_code"],
                            "body": _parsed(call["body"]),
                        }
                        for call in calls
                    ],
                }
            )
        return told


def said(answer: object, name: str) -> object:
    """What a merchant's answer holds under a name, when it is an object at all."""
    return cast("dict[str, object]", answer).get(name) if isinstance(answer, dict) else None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
