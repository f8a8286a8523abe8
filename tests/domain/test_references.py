"""Our reference is found in whatever a bank makes of a transfer's content, and never guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.references import LENGTH, LETTERS, PREFIX, find
from resolvers.ids import Ids

OURS, OTHER = "MB01K1ABCDEFGH23456J", "MB01K1ABCDEFGH23456K"


def test_what_we_give_out_is_what_we_look_for() -> None:
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
def test_a_rewritten_content_still_names_the_payment(text: str) -> None:
    assert find([text]) == OURS
    assert find(["", text, "nothing"]) == OURS


@pytest.mark.parametrize(
    "text",
    ["", "chuyen tien mua iphone", OURS[:-1], OURS.replace("K", "U"), f"{OURS} {OTHER}", "MB0" * 3],
)
def test_nothing_is_guessed(text: str) -> None:
    assert find([text]) is None


def test_two_texts_that_name_two_payments_name_none() -> None:
    assert find([OURS, OTHER]) is None
    assert find([OURS, OURS.lower()]) == OURS


word = st.text(alphabet="ABCDEFGHIKLNOPQRSTUVWXYZabcdfghi123456789 .,-_/:;()*#", max_size=40)


@given(
    random=st.text(alphabet=LETTERS, min_size=17, max_size=17),
    before=word,
    after=word,
    marks=st.lists(st.sampled_from(["", "", "", " ", "-", ". "]), min_size=20, max_size=20),
    lower=st.booleans(),
)
def test_marks_case_and_words_around_do_not_hide_it(
    random: str, before: str, after: str, marks: list[str], lower: bool
) -> None:
    reference = f"{PREFIX}0{random}"
    written = "".join(letter + mark for letter, mark in zip(reference, marks, strict=True))
    text = f"{before} {written.lower() if lower else written} {after}"
    # Nobody else's letters may look like a second one.
    found = find([text])
    assert found == reference or (found is None and (before + random + after).upper().count("MB"))
