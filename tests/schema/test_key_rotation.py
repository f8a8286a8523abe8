"""After a rotation a new key signs, and whatever the old ones signed still verifies."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from schema.bootstrap import keys_of
from schema.key_rotation import CannotRotate, rotate
from schema.settings import load


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ENV", "KEYS__SIGNING", "KEYS__RECEIPTS", "KEYS__ENCRYPTION"):
        monkeypatch.delenv(f"MOBINET_{name}", raising=False)
    monkeypatch.setenv("MOBINET_DATA_DIR", str(tmp_path))
    return tmp_path


def test_what_the_old_key_signed_verifies_and_the_new_one_signs() -> None:
    before = keys_of(load())
    signature = before.receipts.signing.sign(b"a receipt, a seal")
    for _ in range(2):
        list(rotate(load()))
    after = keys_of(load())
    for old, new in ((before.tokens, after.tokens), (before.receipts, after.receipts)):
        assert new.signing.id != old.signing.id
        assert {one["kid"] for one in old.jwks} < {one["kid"] for one in new.jwks}
    key = after.receipts.find(before.receipts.signing.id)
    assert key is not None
    assert key.verifies(signature, b"a receipt, a seal")


def test_the_file_stays_its_owners_alone_and_no_draft_is_left(data_dir: Path) -> None:
    list(rotate(load()))
    names = {path.name for path in (data_dir / "keys").iterdir()}
    assert names == {"signing.pem", "receipts.pem", "encryption.key"}
    assert stat.S_IMODE((data_dir / "keys/signing.pem").stat().st_mode) == 0o600


def test_a_key_in_the_environment_itself_is_left_and_said_what_to_do(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load()
    held = (data_dir / "keys/signing.pem").read_text()
    monkeypatch.setenv("MOBINET_KEYS__SIGNING", held)
    with pytest.raises(CannotRotate, match="before it in the variable") as told:
        list(rotate(load()))
    assert held.splitlines()[1] not in str(told.value)


def test_receipts_made_of_the_encryption_key_verify_once_they_have_a_key_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = load()
    made = keys_of(
        given.model_copy(update={"keys": given.keys.model_copy(update={"receipts": ()})})
    )
    assert keys_of(given).receipts.find(made.receipts.signing.id) is not None
