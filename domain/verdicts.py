"""What we answer a gateway's webhook; each adapter writes it in the gateway's dialect."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    ACCEPTED = "ACCEPTED"
    ALREADY_DONE = "ALREADY_DONE"
    UNKNOWN_REFERENCE = "UNKNOWN_REFERENCE"
    WRONG_AMOUNT = "WRONG_AMOUNT"
    BAD_SIGNATURE = "BAD_SIGNATURE"
    OUR_ERROR = "OUR_ERROR"
