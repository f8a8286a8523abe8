"""The gateways' webhooks, stored before they are sent and repeated until acknowledged."""

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
class WebhookRequest:
    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None


class WebhookSource(Protocol):
    name: str

    @property
    def retry_delays(self) -> tuple[float, ...]:
        """Return the seconds before each repeat; after the last one the gateway gives up."""
        ...

    def webhook_request(self, fields: Json, *, forged: bool) -> WebhookRequest:
        """Return the request, signed now; a forged one is signed with a wrong key."""
        ...

    def is_acknowledged(self, status_code: int, answer: Any) -> bool:
        """Return whether the merchant's answer acknowledges the webhook."""
        ...


class Webhooks:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._sources: dict[str, WebhookSource] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._client: httpx.AsyncClient | None = None

    def register(self, source: WebhookSource) -> None:
        self._sources[source.name] = source

    async def start(self) -> None:
        for row in self._store.fetch_rows("select * from webhooks where due_at is not null"):
            self.schedule(row["id"], row["due_at"])

    async def stop(self) -> None:
        self.cancel_all()
        if self._client:
            await self._client.aclose()

    def cancel_all(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    def add(
        self,
        gateway: str,
        reference: str,
        fields: Json,
        *,
        forged: bool,
        burst: int,
        due_at: float | None,
    ) -> int:
        """
        Store a webhook that is sent *burst* times at once, and return its id.

        The caller delivers or schedules it; with *due_at* None it is never sent.
        """
        cursor = self._store.execute(
            "insert into webhooks (gateway, reference, fields, forged, burst, due_at)"
            " values (?, ?, ?, ?, ?, ?)",
            gateway, reference, json.dumps(fields), forged, burst, due_at,
        )  # fmt: skip
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def schedule(self, webhook_id: int, due_at: float) -> None:
        async def wait() -> None:
            await asyncio.sleep(max(0.0, due_at - clock.now()))
            await self.deliver(webhook_id)

        task = asyncio.create_task(wait())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def deliver(self, webhook_id: int) -> list[Json]:
        """Send a due webhook and schedule its repeat unless the merchant acknowledged it."""
        row = self._store.fetch_row("select * from webhooks where id = ?", webhook_id)
        if row is None:
            return []
        source = self._sources[row["gateway"]]
        fields, forged = json.loads(row["fields"]), bool(row["forged"])
        answers = await asyncio.gather(
            *(self._call(source, webhook_id, fields, forged) for _ in range(row["burst"]))
        )
        understood = any(
            answer["status_code"] is not None
            and source.is_acknowledged(answer["status_code"], answer["body"])
            for answer in answers
        )
        sent = int(
            self._store.fetch_value("select count(*) from calls where webhook_id = ?", webhook_id)
        )
        due_at = None
        # A forged webhook is sent once.
        if not understood and not forged and 0 < sent <= len(source.retry_delays):
            due_at = clock.now() + source.retry_delays[sent - 1]
            self.schedule(webhook_id, due_at)
        self._store.execute(
            "update webhooks set due_at = ?, burst = 1 where id = ?", due_at, webhook_id
        )
        return answers

    async def _call(
        self, source: WebhookSource, webhook_id: int, fields: Json, forged: bool
    ) -> Json:
        # Imported at the first webhook, because the import takes a third of the start-up time.
        import httpx

        self._client = self._client or httpx.AsyncClient(timeout=15, trust_env=False)
        request = source.webhook_request(fields, forged=forged)
        status_code: int | None
        try:
            response = await self._client.request(
                request.method, request.url, headers=request.headers, content=request.body
            )
            status_code, body = response.status_code, response.text
        except httpx.HTTPError as error:
            status_code, body = None, f"{type(error).__name__}: {error}"
        self._store.execute(
            "insert into calls (webhook_id, at, status_code, body) values (?, ?, ?, ?)",
            webhook_id, clock.now(), status_code, body,
        )  # fmt: skip
        return {"status_code": status_code, "body": _parsed(body)}

    def list(self, reference: str | None) -> list[Json]:
        """Return every webhook with its calls and their answers."""
        webhooks: list[Json] = []
        for row in self._store.fetch_rows("select * from webhooks order by id"):
            if reference not in (None, row["reference"]):
                continue
            calls = self._store.fetch_rows("select * from calls where webhook_id = ?", row["id"])
            webhooks.append(
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
        return webhooks


def response_field(answer: object, name: str) -> object:
    """Return a field of the merchant's answer, or None where the answer is not an object."""
    return cast("dict[str, object]", answer).get(name) if isinstance(answer, dict) else None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
