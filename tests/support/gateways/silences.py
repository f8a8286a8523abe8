"""The behaviours of a counterpart that leave the outcome unknown."""

from __future__ import annotations

from tests.support.gateways import counterpart as they

SILENCES = {
    "a timeout": they.silence,
    "a reset": they.reset,
    "a 500": they.server_error,
    "a truncated answer": they.truncated,
    "half a JSON": they.half_json,
    "something else": they.not_json,
}
