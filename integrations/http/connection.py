"""
One connection of HTTP/1.1: a request, its answer, and whether the connection can carry another.

httptools (llhttp, the parser of Node) reads the answers, strictly. The last byte of what arrives
is parsed by itself: an answer that is complete before it has surplus bytes behind it.
"""

from __future__ import annotations

import asyncio
import re
import select
from typing import cast

import httptools

from integrations.http.calls import Progress
from integrations.http.failures import TransportError
from integrations.http.messages import Answer

MAX_BODY = 4 * 1024 * 1024
MAX_FRAMING = 64 * 1024
"""Bytes of an answer that are not its body: status, headers, chunk sizes, trailers."""

IDLE_SECONDS = 4.0
"""How long a connection may wait for its next request; servers wait 5 seconds or longer."""

_SERVERS_IDLE_SECONDS = re.compile(rb"(?:^|[,;\s])timeout\s*=\s*([0-9]{1,6})", re.IGNORECASE)
_TRANSIT_SECONDS = 1.0  # the server counts from when it sent its answer


class Connection(asyncio.Protocol):
    """After any error, cancel or surplus byte the connection is closed and never used again."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._readable = select.poll()
        self._idle_until = 0.0
        self._answer: asyncio.Future[Answer] | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._allowed_silence = self._last_byte_at = 0.0
        self._start_answer()
        self._received = 0

    # ── towards the pool ─────────────────────────────────────────────────────────────────────────

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_reusable(self) -> bool:
        """Whether the last answer was read to its end, and nothing came since, not even an end."""
        return (
            self.is_open
            and self._answer is None
            and self._loop.time() < self._idle_until
            and not self._readable.poll(0)
        )

    @property
    def is_expired(self) -> bool:
        return not self.is_open or self._loop.time() >= self._idle_until

    def abort(self) -> None:
        """Close the connection at once, without sending what is still buffered."""
        if self._transport is not None:
            self._transport.abort()

    async def exchange(self, message: bytes, progress: Progress, *, silence: float) -> Answer:
        """
        Send *message* and return the answer; *silence* is the longest pause in seconds.

        Raises TransportError.
        """
        if self._transport is None or self._transport.is_closing():
            raise TransportError("the connection closed before the request")
        self._idle_until = 0.0
        self._received = 0
        self._start_answer()
        self._answer = self._loop.create_future()
        self._allowed_silence, self._last_byte_at = silence, self._loop.time()
        self._silence = self._loop.call_later(silence, self._check_silence)
        try:
            progress.sent = True
            self._transport.write(message)
            return await self._answer
        except BaseException:
            self._idle_until = 0.0  # a cancel may come when the answer is complete
            raise
        finally:
            self._silence.cancel()
            self._answer = None

    # ── from the event loop ──────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpResponseParser(self)
        socket = transport.get_extra_info("socket")
        self._readable.register(socket.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if self._parser is None or self._answer is None or self._answer.done():
            self._fail("bytes that no request waits for")
            return
        self._received += len(data)
        self._last_byte_at = self._loop.time()
        view = memoryview(data)
        surplus = False
        try:
            if len(view) > 1:
                self._parser.feed_data(view[:-1])
            surplus = self._is_complete
            if not surplus:
                self._parser.feed_data(view[-1:])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._is_complete:
                self._fail("the answer is not HTTP")
                return
            surplus = True
        if self._body_bytes > MAX_BODY or self._received - self._body_bytes > MAX_FRAMING:
            self._fail("the answer is too large")
        elif self._is_complete:
            self._finish(reusable=self._keep_alive and not surplus)

    def eof_received(self) -> None:
        if self._head_is_complete and not self._has_length:  # the end of such a body
            self._finish(reusable=False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the connection ended")
        self._transport = self._parser = None

    def _check_silence(self) -> None:
        left = self._last_byte_at + self._allowed_silence - self._loop.time()
        if left > 0:
            self._silence = self._loop.call_later(left, self._check_silence)
        else:
            self._fail("the counterpart was silent")

    def _finish(self, *, reusable: bool) -> None:
        """Give the complete answer to the caller."""
        assert self._transport is not None
        if self._answer is None or self._answer.done():
            return
        # An answer that came before the whole request was sent ends the connection.
        if reusable and not self._transport.get_write_buffer_size():
            self._idle_until = self._loop.time() + self._idle_seconds
        self._answer.set_result(Answer(self._status, b"".join(self._body)))

    def _fail(self, reason: str) -> None:
        self._idle_until = 0.0
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(TransportError(reason))
        self.abort()

    # ── from the parser ──────────────────────────────────────────────────────────────────────────

    def _start_answer(self) -> None:
        self._status = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._head_is_complete = self._is_complete = False
        self._has_length = self._keep_alive = False
        self._idle_seconds = IDLE_SECONDS

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_complete or self._head_is_complete:  # surplus, or a trailer
            return
        match name.lower():
            case b"content-length" | b"transfer-encoding":
                self._has_length = True
            case b"keep-alive":
                if timeout := _SERVERS_IDLE_SECONDS.search(value):
                    allowed = int(timeout[1]) - _TRANSIT_SECONDS
                    self._idle_seconds = min(self._idle_seconds, allowed)
            case _:
                pass

    def on_headers_complete(self) -> None:
        if self._is_complete:
            return
        assert self._parser is not None
        self._head_is_complete = True
        self._status = self._parser.get_status_code()
        self._keep_alive = self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        if not self._is_complete:
            self._body.append(data)
            self._body_bytes += len(data)

    def on_message_complete(self) -> None:
        if self._is_complete:
            return
        if self._status < 200:  # 1xx: the answer itself follows
            self._start_answer()
        else:
            self._is_complete = True
