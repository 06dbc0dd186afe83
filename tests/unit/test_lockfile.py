"""The lock file: what is pinned stays pinned, whoever writes beside it."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from seq2exp.errors import UserError
from seq2exp.lockfile import LockEntry, SourceLock

ENTRY = LockEntry(url="https://x.org/a", bytes=7, md5="0" * 32)


def test_entries_are_kept_and_sorted(tmp_path):
    path = tmp_path / "deep" / "sources.lock.json"
    lock = SourceLock(path)
    assert lock.get("b") is None
    assert not path.exists()
    whole = LockEntry(
        url="https://x.org/b",
        bytes=40_000_000_000,
        sha256="a" * 64,
        extra={"accession": "ENCFF465GBD", "replicates": [1, 2]},
    )
    lock.record("b", whole)
    lock.record("a", ENTRY)
    assert SourceLock(path).get("b") == whole
    assert SourceLock(path).get("a") == ENTRY
    content = json.loads(path.read_text())
    assert list(content["sources"]) == ["a", "b"]
    assert content["sources"]["a"] == {"url": "https://x.org/a", "bytes": 7, "md5": "0" * 32}
    assert path.read_text().count("\n") == 22


def test_an_entry_that_is_there_already_leaves_the_file_untouched(tmp_path):
    lock = SourceLock(tmp_path / "sources.lock.json")
    lock.record("a", ENTRY)
    before = lock.path.stat()
    lock.record("a", ENTRY)
    assert lock.path.stat().st_ino == before.st_ino
    lock.record("a", ENTRY.model_copy(update={"bytes": 8}))
    assert lock.get("a").bytes == 8


def test_many_writers_lose_nothing(tmp_path):
    path = tmp_path / "sources.lock.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: SourceLock(path).record(f"key{i}", ENTRY), range(40)))
    assert sorted(json.loads(path.read_text())["sources"]) == sorted(f"key{i}" for i in range(40))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read"),
        ("[]", "not a lock file of format 1"),
        ('{"format": 2, "sources": {}}', "not a lock file of format 1"),
        ('{"format": 1, "sources": {"a": {"url": "x", "bytes": 0}}}', "a.bytes: Input should be"),
        ('{"format": 1, "sources": {"a": {"url": "x", "bytes": 1}}}', "give md5 or sha256"),
        ('{"format": 1, "sources": {"a": 3}}', "remove the entry"),
    ],
)
def test_a_file_that_is_no_lock_file_is_one_line(tmp_path, text, words):
    path = tmp_path / "sources.lock.json"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        SourceLock(path).get("a")
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert words in message
    assert "\n" not in message
