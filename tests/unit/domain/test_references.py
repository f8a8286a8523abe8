"""Our reference is found in a bank transfer's content, and never guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.references import LENGTH, LETTERS, PREFIX, find, is_ours
from resolvers.ids import Ids

OURS, OTHER = "MB01K1ABCDEFGH23456J", "MB01K1ABCDEFGH23456K"


def test_a_new_reference_is_found() -> None:
    for _ in range(100):
        reference = Ids().reference()
        assert len(reference) == LENGTH
        assert find([reference]) == reference


@pytest.mark.parametrize(
    "text",
    [
        OURS,
        OURS.lower(),
        f"MBVCB.3278907687.{OURS}.CT tu 0123499999 NGUYEN VAN A toi 0011001234567",
        f"QR{OURS}GD 4088878653",
        f"IBFT {OURS[:7]} {OURS[7:]}",
        "-".join(OURS),
        f"{OURS[:12]}\r\n{OURS[12:]} thanh toan",
        f"{OURS} {OURS}",
        f"Thanh toán cước {OURS}, cảm ơn",
    ],
)
def test_a_reference_is_found_in_rewritten_content(text: str) -> None:
    assert find([text]) == OURS
    assert find(["", text, "nothing"]) == OURS


@pytest.mark.parametrize(
    "text",
    ["", "chuyen tien mua iphone", OURS[:-1], OURS.replace("K", "U"), f"{OURS} {OTHER}", "MB0" * 3],
)
def test_no_reference_is_guessed(text: str) -> None:
    assert find([text]) is None


def test_two_references_give_none() -> None:
    assert find([OURS, OTHER]) is None
    assert find([OURS, OURS.lower()]) == OURS


words = st.text(alphabet="ABCDEFGHIKLNOPQRSTUVWXYZabcdfghi123456789 .,-_/:;()*#", max_size=40)


@given(
    random=st.text(alphabet=LETTERS, min_size=17, max_size=17),
    before=words,
    after=words,
    marks=st.lists(st.sampled_from(["", "", "", " ", "-", ". "]), min_size=20, max_size=20),
    lower=st.booleans(),
)
def test_marks_case_and_words_do_not_hide_a_reference(
    random: str, before: str, after: str, marks: list[str], lower: bool
) -> None:
    reference = f"{PREFIX}0{random}"
    written = "".join(letter + mark for letter, mark in zip(reference, marks, strict=True))
    text = f"{before} {written.lower() if lower else written} {after}"
    # Random letters may form a second reference.
    found = find([text])
    assert found == reference or (found is None and (before + random + after).upper().count("MB"))


# ── ours or not ──────────────────────────────────────────────────────────────────────────────────


def test_each_id_for_a_gateway_has_our_form() -> None:
    ids = Ids()
    for _ in range(100):
        assert is_ours(ids.reference())
        assert is_ours(ids.record("REV"))
        assert is_ours(ids.payment())


@pytest.mark.parametrize(
    "text",
    [
        OURS.lower(),
        f" {OURS} ",
        f"{OURS}-capture",
        f"invoice {OURS}",
        f"{OURS} {OTHER}",
        "MB250729120000123456",
        "MBSTRAY0000000000001",
        "rev_01K1ABCDEFGH23456JKMNPQRST",
    ],
)
def test_what_may_be_ours_has_our_form(text: str) -> None:
    assert is_ours(text)


@pytest.mark.parametrize(
    "text",
    [
        "ORDER-778",
        "webshop-4711",
        "4711",
        "",
        "MB-2025-17",
        "MB2025",
        f"{OURS[:-1]}",
        "TXN_778",
        "REV_1",
        "pi_3QK2x1LkdIwHu7ix",
        "018f3b1e-7c4a-7e1b-9c6d-0a1b2c3d4e5f",
        "x" * 500,
    ],
)
def test_references_of_other_programs_do_not_have_our_form(text: str) -> None:
    assert not is_ours(text)
