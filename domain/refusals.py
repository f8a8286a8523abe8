"""
Refusals: valid requests that the business declines, without any effect.

A refusal has a code that clients may rely on, its facts as attributes, and a sentence in
Vietnamese and in English that says what to do. Its class stands with the rule that raises it; the
codes and the refusals of more than one noun stand here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, ClassVar, cast

from domain.money import MAX_JSON_INTEGER
from domain.sentences import InputProblem, Language, Noun, Reason, fill


class RefusalCode(StrEnum):
    PAYMENT_LIMIT_EXCEEDED = "PAYMENT_LIMIT_EXCEEDED"
    BILL_LOCKED = "BILL_LOCKED"
    BILL_ALREADY_PAID = "BILL_ALREADY_PAID"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    IDEMPOTENCY_IN_PROGRESS = "IDEMPOTENCY_IN_PROGRESS"
    GATEWAY_UNAVAILABLE = "GATEWAY_UNAVAILABLE"
    UPSTREAM_UNAVAILABLE = "UPSTREAM_UNAVAILABLE"
    INVALID_INPUT = "INVALID_INPUT"
    NOT_FOUND = "NOT_FOUND"
    AMOUNT_MISMATCH = "AMOUNT_MISMATCH"
    CONTRACT_INACTIVE = "CONTRACT_INACTIVE"
    TRANSITION_REFUSED = "TRANSITION_REFUSED"
    NOT_PERMITTED = "NOT_PERMITTED"
    INVALID_CREDENTIALS = "INVALID_CREDENTIALS"


class Refusal(Exception):
    """Subclasses are dataclasses: their fields are the details, and fill the two sentences."""

    code: ClassVar[RefusalCode]
    vi: ClassVar[str]
    en: ClassVar[str]

    @property
    def details(self) -> dict[str, object]:
        """The facts of this refusal, by field name; never a secret."""
        return {
            name: value
            for name, value in self._facts.items()
            if name != "reason" and not name.endswith(("_vi", "_en"))
        }

    @property
    def _facts(self) -> dict[str, object]:
        return {field.name: getattr(self, field.name) for field in fields(cast("Any", self))}

    def text(self, language: Language) -> str:
        """Return the sentence in *language*, filled with the facts."""
        return fill(self.vi if language == "vi" else self.en, self._facts, language)

    def __str__(self) -> str:
        return f"{self.code}: {self.text('en')}"


class Refused(Exception):
    """Several refusals of one request: one for each item that cannot be collected."""

    def __init__(self, refusals: tuple[Refusal, ...]) -> None:
        super().__init__("; ".join(str(refusal) for refusal in refusals))
        self.refusals = refusals


@dataclass(eq=False, kw_only=True)
class InvalidInput(Refusal):
    """A field that has the right type and a wrong value."""

    code = RefusalCode.INVALID_INPUT
    vi = "{field}: {problem_vi}"
    en = "{field}: {problem_en}"

    field: str
    problem_vi: str
    problem_en: str
    reason: Reason | None = None

    @classmethod
    def because(cls, reason: Reason, *, field: str, **facts: object) -> InvalidInput:
        """Return the refusal of *field*; *facts* fill the sentence of *reason*."""
        return cls(
            field=field,
            problem_vi=reason.text("vi", facts),
            problem_en=reason.text("en", facts),
            reason=reason,
        )


def check_amount(amount: int, *, field: str = "amount") -> None:
    """Raise InvalidInput unless *amount* is positive and a JSON number can carry it."""
    if not 0 < amount <= MAX_JSON_INTEGER:
        raise InvalidInput.because(InputProblem.AMOUNT, field=field)


def check_reason(reason: str) -> str:
    """Return *reason* stripped. Raises InvalidInput unless it is a line of 3 to 200 characters."""
    stripped = reason.strip()
    if not (3 <= len(stripped) <= 200 and reason.isprintable()):
        raise InvalidInput.because(InputProblem.REASON_TEXT, field="reason")
    return stripped


@dataclass(eq=False, kw_only=True)
class NotFound(Refusal):
    """It does not exist or lies outside the actor's scope; both look the same."""

    code = RefusalCode.NOT_FOUND
    vi = "Không tìm thấy {what_vi} {id}. Hãy kiểm tra lại mã."
    en = "There is no {what_en} {id}. Check the number and try again."

    what_vi: str
    what_en: str
    id: str

    @classmethod
    def of(cls, noun: Noun, *, id: str) -> NotFound:
        """Return the refusal about the *noun* with this id."""
        return cls(what_vi=noun.vi, what_en=noun.en, id=id)


@dataclass(eq=False, kw_only=True)
class UpstreamUnavailable(Refusal):
    code = RefusalCode.UPSTREAM_UNAVAILABLE
    vi = "Hệ thống {system} chưa trả lời. Chưa có gì thay đổi; hãy thử lại sau ít phút."
    en = "{system} does not answer. Nothing was changed; try again in a few minutes."

    system: str
    retry_after_ms: int | None = None  # set while the breaker is open


@dataclass(eq=False, kw_only=True)
class NotPermitted(Refusal):
    code = RefusalCode.NOT_PERMITTED
    vi = "Bạn không được phép làm việc này: {why_vi}"
    en = "You may not do this: {why_en}"

    why_vi: str
    why_en: str
    reason: Reason | None = None

    @classmethod
    def because(cls, reason: Reason) -> NotPermitted:
        """Return the refusal with the sentence of *reason*."""
        return cls(why_vi=reason.vi, why_en=reason.en, reason=reason)
