"""After a rotation a new key signs, old signatures still verify, and no process restarts."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import jwt
import orjson
import pytest

from mobinet.bootstrap import keys_of
from mobinet.key_rotation import CannotRotate, rotate
from mobinet.settings import load
from tests.support.running_api import ROOT, Api

pytest_plugins = ["tests.support.running_api"]


@pytest.fixture
def folder(
    tmp_path: Path, fresh_database: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Path:
    for name in ("ENV", "KEYS__SIGNING", "KEYS__RECEIPTS", "KEYS__ENCRYPTION"):
        monkeypatch.delenv(f"MOBINET_{name}", raising=False)
    monkeypatch.setenv("MOBINET_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("MOBINET_DATABASE_URL", fresh_database)
    monkeypatch.setenv("MOBINET_REDIS_URL", redis_url)
    return tmp_path


def rotate_keys() -> list[str]:
    """Rotate every kind of key, and return the printed lines."""
    lines: list[str] = []
    asyncio.run(rotate(load(), lines.append))
    return lines


def audited(database: str) -> list[tuple[str, str, str]]:
    """Return outcome, actor and key of each audited rotation, oldest first."""

    async def read() -> list[Any]:
        connection = await asyncpg.connect(database)
        try:
            return await connection.fetch(
                "select outcome, actor, details from audit_event"
                " where action = 'rotateKey' order by id"
            )
        finally:
            await connection.close()

    return [
        (row["outcome"], row["actor"], orjson.loads(row["details"]).get("key"))
        for row in asyncio.run(read())
    ]


@pytest.mark.usefixtures("folder")
def test_what_the_old_key_signed_verifies_and_the_new_one_signs(fresh_database: str) -> None:
    before = keys_of(load())
    first_keys = before.tokens.signing, before.receipts.signing
    signature = first_keys[1].sign(b"a receipt, a seal")
    rotate_keys()
    second_keys = before.tokens.signing, before.receipts.signing
    lines = rotate_keys()
    after = keys_of(load())
    for old, middle, new in zip(
        first_keys, second_keys, (after.tokens, after.receipts), strict=True
    ):
        assert len({old.id, middle.id, new.signing.id}) == 3, (
            "a running process has not reloaded its keys"
        )
        assert {old.id, middle.id} < {jwk["kid"] for jwk in new.jwks}
        assert any(new.signing.id in line for line in lines)
    key = after.receipts.find(first_keys[1].id)
    assert key is not None
    assert key.verifies(signature, b"a receipt, a seal")
    assert audited(fresh_database) == [
        ("DONE", "keys", key.id)
        for key in (*second_keys, after.tokens.signing, after.receipts.signing)
    ]


@pytest.mark.usefixtures("fresh_database")
def test_the_file_stays_private_and_no_draft_is_left(folder: Path) -> None:
    rotate_keys()
    names = {path.name for path in (folder / "keys").iterdir()}
    assert names == {"signing.pem", "receipts.pem", "encryption.key"}
    assert stat.S_IMODE((folder / "keys/signing.pem").stat().st_mode) == 0o600


def test_a_key_in_the_environment_is_left_and_the_remedy_is_printed(
    folder: Path, fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load()
    pem = (folder / "keys/signing.pem").read_text()
    monkeypatch.setenv("MOBINET_KEYS__SIGNING", pem)
    with pytest.raises(CannotRotate, match="before it in the variable") as error:
        rotate_keys()
    assert pem.splitlines()[1] not in str(error.value)
    assert audited(fresh_database) == []


def test_a_key_that_cannot_be_stored_signs_nothing_and_is_audited_as_failed(
    folder: Path, fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys_of(load())
    key = before.tokens.signing.id
    monkeypatch.setattr(Path, "replace", _no_space)
    with pytest.raises(CannotRotate, match=r"cannot be written \(No space left"):
        rotate_keys()
    assert before.tokens.signing.id == key
    assert audited(fresh_database) == [("FAILED", "keys", None)]
    assert len(list((folder / "keys").iterdir())) == 3


def _no_space(*_: object) -> Path:
    raise OSError(28, "No space left on device")


@pytest.mark.usefixtures("folder")
def test_receipts_of_the_derived_key_verify_once_receipts_have_a_key_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = load()
    monkeypatch.setenv("MOBINET_ENV", "production")  # it makes no keys
    without_key = settings.model_copy(
        update={"env": "production", "keys": settings.keys.model_copy(update={"receipts": ()})}
    )
    derived = keys_of(without_key).receipts.signing.id
    assert keys_of(settings).receipts.signing.id != derived
    assert keys_of(settings).receipts.find(derived) is not None


def test_an_unreadable_key_file_leaves_the_keys_unchanged(folder: Path) -> None:
    keys = keys_of(load()).tokens
    before = keys.signing.id
    file = folder / "keys/signing.pem"
    good = file.read_text()
    for broken in ("", "-----BEGIN PRIVATE KEY-----\nnonsense", "\xff"):
        file.write_text(broken)
        assert keys.signing.id == before
    file.unlink()
    assert keys.find(before) is not None
    shutil.copy(folder / "keys/receipts.pem", file)
    assert keys.find(before) is None, "a removed key is still valid"
    file.write_text(good)
    assert keys.signing.id == before


def kid(token: str) -> str:
    return jwt.get_unverified_header(token)["kid"]


def test_a_running_api_signs_with_the_new_key_and_accepts_the_old_one(
    api: Api, redis_url: str
) -> None:
    old_token, old_receipt = api.login("NV002")["accessToken"], receipt(api)
    environment = os.environ | {
        "MOBINET_DATABASE_URL": api.database,
        "MOBINET_REDIS_URL": redis_url,
        "MOBINET_DATA_DIR": str(api.settings.data_dir),
    }
    command = [sys.executable, "-m", "mobinet", "keys", "rotate"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    new_token, new_receipt = api.login("NV002")["accessToken"], receipt(api)
    assert kid(old_token) != kid(new_token)
    assert old_receipt["key_id"] != new_receipt["key_id"]
    for token in (old_token, new_token):
        assert api.get("query { me { staffId } }", token=token)["staffId"] == "NV002"
    published = {jwk["kid"] for jwk in api.http.get("/.well-known/jwks.json").json()["keys"]}
    assert {
        kid(old_token),
        kid(new_token),
        old_receipt["key_id"],
        new_receipt["key_id"],
    } < published
    assert [key for *_, key in audited(api.database)] == [kid(new_token), new_receipt["key_id"]]


def receipt(api: Api) -> dict[str, Any]:
    token = api.new_payment()["confirmationLink"].rpartition("/")[2]
    return api.http.get(f"/pay/{token}", headers={"accept": "application/json"}).json()
