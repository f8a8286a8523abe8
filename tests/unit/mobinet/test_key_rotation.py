"""After a rotation a new key signs, whatever the old ones signed still verifies, and nobody has to start anew."""

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


def rotated() -> list[str]:
    said: list[str] = []
    asyncio.run(rotate(load(), said.append))
    return said


def written(database: str) -> list[tuple[str, str, str]]:
    async def read() -> list[Any]:
        connection = await asyncpg.connect(database)
        try:
            return await connection.fetch(
                "select outcome, actor, details from audit_event where action = 'rotateKey' order by id"
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
    first = before.tokens.signing, before.receipts.signing
    signature = first[1].sign(b"a receipt, a seal")
    rotated()
    between = before.tokens.signing, before.receipts.signing
    said = rotated()
    after = keys_of(load())
    for old, middle, new in zip(first, between, (after.tokens, after.receipts), strict=True):
        assert len({old.id, middle.id, new.signing.id}) == 3, "whoever runs has taken it up"
        assert {old.id, middle.id} < {jwk["kid"] for jwk in new.jwks}
        assert any(new.signing.id in line for line in said)
    key = after.receipts.find(first[1].id)
    assert key is not None
    assert key.verifies(signature, b"a receipt, a seal")
    assert written(fresh_database) == [
        ("DONE", "keys", key.id) for key in (*between, after.tokens.signing, after.receipts.signing)
    ]


@pytest.mark.usefixtures("fresh_database")
def test_the_file_stays_its_owners_alone_and_no_draft_is_left(folder: Path) -> None:
    rotated()
    names = {path.name for path in (folder / "keys").iterdir()}
    assert names == {"signing.pem", "receipts.pem", "encryption.key"}
    assert stat.S_IMODE((folder / "keys/signing.pem").stat().st_mode) == 0o600


def test_a_key_in_the_environment_itself_is_left_and_said_what_to_do(
    folder: Path, fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load()
    held = (folder / "keys/signing.pem").read_text()
    monkeypatch.setenv("MOBINET_KEYS__SIGNING", held)
    with pytest.raises(CannotRotate, match="before it in the variable") as told:
        rotated()
    assert held.splitlines()[1] not in str(told.value)
    assert written(fresh_database) == []


def test_a_key_that_cannot_be_put_in_place_signs_nothing_and_is_written_down_as_failed(
    folder: Path, fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys_of(load())
    key = before.tokens.signing.id
    monkeypatch.setattr(Path, "replace", _refuses)
    with pytest.raises(CannotRotate, match=r"cannot be written \(No space left"):
        rotated()
    assert before.tokens.signing.id == key
    assert written(fresh_database) == [("FAILED", "keys", None)]
    assert len(list((folder / "keys").iterdir())) == 3


def _refuses(*_: object) -> Path:
    raise OSError(28, "No space left on device")


@pytest.mark.usefixtures("folder")
def test_receipts_made_of_the_encryption_key_verify_once_they_have_a_key_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = load()
    monkeypatch.setenv("MOBINET_ENV", "production")  # where none is made
    derived = given.model_copy(
        update={"env": "production", "keys": given.keys.model_copy(update={"receipts": ()})}
    )
    made = keys_of(derived).receipts.signing.id
    assert keys_of(given).receipts.signing.id != made
    assert keys_of(given).receipts.find(made) is not None


def test_keys_that_cannot_be_read_are_those_that_were_until_they_can(folder: Path) -> None:
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
    assert keys.find(before) is None, "who takes a key out of the file wants it refused"
    file.write_text(good)
    assert keys.signing.id == before


def kid(token: str) -> str:
    return jwt.get_unverified_header(token)["kid"]


def test_an_api_that_runs_signs_with_the_new_key_and_knows_what_the_old_one_signed(
    api: Api, redis_url: str
) -> None:
    old_token, old_receipt = api.login("NV002")["accessToken"], receipt(api)
    environment = os.environ | {
        "MOBINET_DATABASE_URL": api.database,
        "MOBINET_REDIS_URL": redis_url,
        "MOBINET_DATA_DIR": str(api.settings.data_dir),
    }
    command = [sys.executable, "-m", "mobinet", "keys", "rotate"]
    told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    new_token, new_receipt = api.login("NV002")["accessToken"], receipt(api)
    assert kid(old_token) != kid(new_token)
    assert old_receipt["key_id"] != new_receipt["key_id"]
    for token in (old_token, new_token):
        assert api.get("query { me { staffId } }", token=token)["staffId"] == "NV002"
    published = {item["kid"] for item in api.http.get("/.well-known/jwks.json").json()["keys"]}
    assert {
        kid(old_token),
        kid(new_token),
        old_receipt["key_id"],
        new_receipt["key_id"],
    } < published
    assert [key for *_, key in written(api.database)] == [kid(new_token), new_receipt["key_id"]]


def receipt(api: Api) -> dict[str, Any]:
    token = api.paid()["confirmationLink"].rpartition("/")[2]
    return api.http.get(f"/pay/{token}", headers={"accept": "application/json"}).json()
