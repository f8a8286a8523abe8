"""
Random calls in a gateway's name: changed genuine calls, and signed calls of any content.

HOSTILE_SEED=n repeats a run.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from datetime import UTC, datetime
from http.client import HTTPResponse
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, event, example, given, note, seed, settings
from hypothesis import strategies as st

from db.engine import fetch
from resolvers import webhooks
from tests.support.gateways.callers import CALLERS, Caller, call_of, new_notice, trust_paypal_signer
from tests.support.gateways.webhook_cases import UNKNOWN_REFERENCE, each_caller
from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api"]

SEED = int(os.environ.get("HOSTILE_SEED", "0")) or secrets.randbelow(2**32)
EXAMPLES = 25
bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# No answer contains these: they would reveal code, secrets or payments.
LEAKS = ("traceback", "secret", "whsec", "sandbox-", "error:", ".py", "select ", "txn_", "asyncpg")
Json = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
ODD_TEXT = st.sampled_from(
    [
        "",
        "\x00",
        "a\x00b",
        "\ud800",
        "é" * 40,
        "0" * 5000,
        "-1",
        "1e999",
        "NaN",
        "２０００",
        "' or 1=1 --",
        "\u202e",
        "%00",
        "\r\nX-Evil: 1",
        "../../etc/passwd",
        "9" * 400,
        "true",
        "[]",
        "{}",
    ]
)
DEEP: Any = json.loads("[" * 500 + "]" * 500)
ODD = Json | ODD_TEXT | st.sampled_from([10**400, -0.0, 1e308, DEEP, 2**63, 2**31, -1, 0])


@pytest.fixture(scope="module")
def opened(api: Api) -> dict[str, dict[str, Any]]:
    """Return an open payment of each method, at which the calls aim."""
    trust_paypal_signer(api)
    methods = {caller.method for caller in CALLERS}
    facts = ("id", "gatewayReference", "amount")
    paid = {method: api.new_payment(method=method) for method in sorted(methods)}
    return {method: {name: item[name] for name in facts} for method, item in paid.items()}


def money(api: Api) -> list[tuple[Any, ...]]:
    """Return all payments, attempts, postings and cases."""

    async def rows() -> list[tuple[Any, ...]]:
        found = await fetch(
            "select 'payment' as kind, id, version::text as one, status as other from payment"
            " union all select 'attempt', payment, status, coalesce(gateway_id, '') from attempt"
            " union all select 'posting', entry.payment, credit, amount::text"
            "   from posting join entry on entry.id = entry"
            " union all select 'case', payment, kind, status from money_case order by 1, 2, 3, 4"
        )
        return [tuple(row.values()) for row in found]

    return api.run(rows())


def send_raw(
    api: Api, method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> tuple[int, str]:
    """Send any bytes in the address, and headers more than once."""
    given = [*headers, (b"host", b"api"), (b"content-length", b"%d" % len(body))]
    head = [b"%s %s HTTP/1.1" % (method.encode(), target), b"connection: close"]
    head += [b"%s: %s" % pair for pair in given]
    with socket.create_connection(("127.0.0.1", api.settings.port), timeout=20) as line:
        line.sendall(b"\r\n".join([*head, b"", body]))
        answer = HTTPResponse(line, method=method)
        answer.begin()
        return answer.status, answer.read().decode()


def check_answer(caller: Caller, answer: tuple[int, str]) -> None:
    status, text = answer
    event(f"{caller.path}: {status}")
    note(f"HOSTILE_SEED={SEED}: {status} {text[:200]!r}")
    assert status < 500
    assert '"RspCode":"99"' not in text.replace(" ", "")
    assert not [leak for leak in LEAKS if leak in text.lower()]
    assert len(text) < 300


# ── calls changed after they were signed ─────────────────────────────────────────────────────────


Edit = st.tuples(
    st.sampled_from(["query", "body", "headers"]),
    st.sampled_from(["cut", "flip", "insert", "double", "aim", "retype", "drop", "garble"]),
    st.integers(0, 10**6),
    st.binary(min_size=1, max_size=12)
    | st.sampled_from(
        [b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"%00", b"&", b"{", b"\\u0000", b"\\ud800"]
    ),
)


def edited(data: bytes, what: str, at: int, new: bytes, aim: bytes) -> bytes:
    at %= len(data) + 1
    match what:
        case "cut" | "drop":
            return data[:at]
        case "flip":
            return data[:at] + new + data[at + len(new) :]
        case "insert":
            return data[:at] + new + data[at:]
        case "double":
            return data + data[at:]
        case "aim":  # at an open payment
            return data.replace(UNKNOWN_REFERENCE.encode(), aim)
        case "retype":
            return data.replace(b'"', b"", 2).replace(b":", b":[", 1)
        case _:
            return new * 50


@seed(SEED)
@bounded
@given(
    edits=st.lists(Edit, min_size=1, max_size=4),
    method=st.sampled_from(["GET", "POST", "POST", "GET", "HEAD"]),
    more=st.sampled_from(["", "&vnp_TxnRef=", "?reference="]),
)
@each_caller(CALLERS)
def test_no_change_to_a_signed_call_moves_money_or_causes_a_fault(
    api: Api,
    opened: dict[str, dict[str, Any]],
    caller: Caller,
    edits: list[tuple[str, str, int, bytes]],
    method: str,
    more: str,
) -> None:
    """The genuine call has an unknown reference; a change may aim at an open payment."""
    aim = opened[caller.method]["gatewayReference"].encode()
    true = call_of(caller, new_notice(UNKNOWN_REFERENCE, opened[caller.method]["amount"]))
    parts = {"query": true.query.encode(), "body": true.body}
    headers = [(name.encode(), value.encode()) for name, value in true.headers.items()]
    for where, what, at, new in edits:
        if where in parts:
            parts[where] = edited(parts[where], what, at, new, aim)
        elif headers:
            name, value = headers[at % len(headers)]
            if what == "drop":
                headers.remove((name, value))
            else:
                headers.append((name, printable(edited(value, what, at, new, aim))))
    query = parts["query"] + (more.encode() + aim if more else b"")
    target = f"/webhooks/{caller.path}?".encode() + sendable(query)
    before = money(api)
    webhooks._quarantined.clear()
    check_answer(
        caller, send_raw(api, method if more else true.method, target, headers, parts["body"])
    )
    assert money(api) == before


def printable(value: bytes) -> bytes:
    """Return the bytes that a server's parser accepts in a header."""
    return bytes(byte for byte in value if byte >= 32 and byte != 127).strip()


def sendable(query: bytes) -> bytes:
    return b"".join(
        bytes([b]) if 33 <= b != 127 and b != 35 else quote(bytes([b])).encode() for b in query
    )


# ── signed calls of any content ──────────────────────────────────────────────────────────────────


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of each value, down to twelve levels."""
    found = [path] if path else []
    if len(path) > 12:
        return found
    keys = (
        value.keys()
        if isinstance(value, dict)
        else range(len(value))
        if isinstance(value, list)
        else ()
    )
    return found + [deeper for key in keys for deeper in places(value[key], (*path, key))]


def put(fields: Any, path: tuple[Any, ...], new: Any) -> None:
    for key in path[:-1]:
        fields = fields[key]
    fields[path[-1]] = new


@seed(SEED)
@bounded
@example(where=[0], new="9" * 400, ours=False)
@example(where=[0, 4], new="a\x00b", ours=False)
@example(where=[0], new="\ud800", ours=True)
@example(where=[4], new=10**400, ours=False)
@given(where=st.lists(st.integers(0, 200), min_size=1, max_size=3), new=ODD, ours=st.booleans())
@each_caller(CALLERS)
def test_a_signed_call_of_any_content_is_read_or_refused_and_pays_nothing(
    api: Api,
    opened: dict[str, dict[str, Any]],
    caller: Caller,
    where: list[int],
    new: Any,
    ours: bool,
) -> None:
    """Odd values replace those of a call about our payment or an unknown one."""
    webhooks._quarantined.clear()
    reference = opened[caller.method]["gatewayReference"] if ours else UNKNOWN_REFERENCE
    fields = json.loads(json.dumps(caller.fields(new_notice(reference, 1))))
    for number in where:
        spots = places(fields)
        put(fields, spots[number % len(spots)], new)
    try:
        call = caller.sign(fields, datetime.now(UTC))
    except (TypeError, ValueError, AttributeError, UnicodeEncodeError):
        return  # the protocol cannot express this value
    others = [row for row in money(api) if not about(row, opened[caller.method])]
    target = f"/webhooks/{caller.path}?{call.query}".encode()
    headers = [(name.encode(), value.encode()) for name, value in call.headers.items()]
    check_answer(caller, send_raw(api, call.method, target, headers, call.body))
    assert [row for row in money(api) if not about(row, opened[caller.method])] == others


def about(row: tuple[Any, ...], payment: dict[str, Any]) -> bool:
    return payment["id"] in row or payment["gatewayReference"] in row
