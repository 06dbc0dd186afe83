"""One source to its file: checked, pinned, entered in the manifest, kept, never half there."""

import csv
import hashlib
import logging
import os
import re
import subprocess
import sys
import zipfile
from contextlib import ExitStack

import numpy as np
import pytest

from seq2exp.downloads import transfer
from seq2exp.downloads.fetch import fetch, is_here, verify
from seq2exp.downloads.manifest import provider
from seq2exp.downloads.origin import Depot
from seq2exp.downloads.transfer import Patience
from seq2exp.errors import UserError
from seq2exp.lockfile import LockEntry, SourceLock
from seq2exp.source_config import Source
from seq2exp.sources import FetchedFile

from ..file_server import PAGE, Answer, file_server

BODY = np.random.default_rng(1).bytes(500_000)
OTHER = BODY[::-1]
MD5, SHA256 = hashlib.md5(BODY).hexdigest(), hashlib.sha256(BODY).hexdigest()
QUICK = Patience(retries=2, first_wait=0.01, timeout=(2, 2), requests_per_second=1000)


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with file_server() as server:
        server.files["/x.bw"] = BODY
        yield server


@pytest.fixture
def depot(tmp_path):
    lock = SourceLock(tmp_path / "sources.lock.json")
    return Depot(tmp_path / "sources", lock, "hg38", patience=QUICK)


@pytest.fixture
def wanted(server, depot):
    """Makes the file of a source, by default of /x.bw."""

    def make(where="/x.bw", name="x.bw", **settings):
        place = {} if {"path", "url", "encode"} & settings.keys() else {"url": server.url + where}
        source = Source(**place, **settings)
        return FetchedFile(depot.folder / name, ("c.dnase", "d.dnase"), source)

    return make


def visible(depot):
    return sorted(path.name for path in depot.folder.iterdir() if path != depot.hidden)


def rows(depot):
    with open(depot.folder / "manifest.tsv", newline="") as handle:
        return {row["file"]: row for row in csv.DictReader(handle, delimiter="\t")}


def refused(file, depot):
    with pytest.raises(UserError) as caught:
        fetch(file, depot)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --------------------------------------------------------------------------- a download


def test_a_file_with_all_checks(server, depot, wanted):
    fetch(wanted(bytes=len(BODY), md5=MD5, sha256=SHA256), depot)
    assert (depot.folder / "x.bw").read_bytes() == BODY
    assert visible(depot) == ["manifest.tsv", "x.bw"]
    assert depot.lock.keys() == set()  # the config knows it already
    row = rows(depot)["x.bw"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row.pop("time"))
    assert row == {
        "file": "x.bw",
        "keys": "c.dnase,d.dnase",
        "url": f"{server.url}/x.bw",
        "member": "",
        "bytes": str(len(BODY)),
        "checksum": f"md5:{MD5} sha256:{SHA256}",
        "source": "127.0.0.1",
        "licence": "see 127.0.0.1",
    }
    fetch(wanted(bytes=len(BODY), md5=MD5, sha256=SHA256), depot)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("path", "settings", "message"),
    [
        ("/absent", {}, "answered 404 Not Found; correct the address"),
        ("/login", {}, "an HTML page instead of the file"),
        ("/empty", {}, "an empty file; correct the address"),
        (
            "/x.bw",
            {"bytes": 7},
            "bytes is 500000, but the config says 7; get the right file, or co",
        ),
        ("/x.bw", {"md5": "0" * 32}, f"md5 is {MD5}, but the config says {'0' * 32}; get the righ"),
        ("/x.bw", {"sha256": "0" * 64}, f"sha256 is {SHA256}, but the config says {'0' * 64}"),
        ("/x.bw", {"member": "a"}, "not a readable .zip (File is not a zip file)"),
    ],
)
def test_refused_downloads_leave_nothing(server, depot, wanted, path, settings, message):
    server.files |= {"/login": PAGE, "/empty": b""}
    text = refused(wanted(path, **settings), depot)
    assert text.startswith(f"c.dnase: {server.url}{path}: ")
    assert message in text
    assert visible(depot) == []
    assert not [path for path in depot.hidden.iterdir() if ".part" in path.name]


def test_a_size_that_is_known_to_be_wrong_costs_no_download(server, depot, wanted):
    server.files["/x.bw"] = BODY * 20
    refused(wanted(bytes=7), depot)
    assert server.sent("/x.bw") < 2_000_000


def test_a_broken_download_is_continued_by_the_next_call(server, depot, wanted):
    server.answers["/x.bw"] = [Answer(cut=200_000), *[Answer(503)] * 3]
    assert "503 Service Unavailable, 3 times in a row" in refused(wanted(), depot)
    assert visible(depot) == []
    fetch(wanted(), depot)
    assert (depot.folder / "x.bw").read_bytes() == BODY
    assert server.sent("/x.bw") == len(BODY)


def test_what_a_killed_process_left_is_removed(depot, wanted, by_hand):
    by_hand(b"half of it", ".tmp-0123abcd-x.bw")
    by_hand(b"of another", ".tmp-0123abcd-yx.bw")
    fetch(wanted(), depot)
    assert visible(depot) == [".tmp-0123abcd-yx.bw", "manifest.tsv", "x.bw"]


def test_a_password_is_not_written_anywhere(depot, wanted):
    text = refused(wanted(url="https://me:secret@x.org/x.bw"), depot)
    assert text == "c.dnase: url holds a password; put the login into ~/.netrc instead"


def test_a_full_disk(depot, wanted, monkeypatch):
    usage = transfer.shutil.disk_usage(depot.folder.parent)._replace(free=100)
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda path: usage)
    assert "needs 100.5 MB more, 100 B are free; make room" in refused(wanted(), depot)


# --------------------------------------------------------------------------- the lock file


def test_a_file_of_which_nothing_is_known_is_pinned_and_then_held_to_it(
    server, depot, wanted, caplog
):
    with caplog.at_level(logging.WARNING):
        fetch(wanted(), depot)
    assert [f"{server.url}/x.bw: no checksum was known" in one.message for one in caplog.records]
    entry = LockEntry(url=f"{server.url}/x.bw", bytes=len(BODY), sha256=SHA256)
    assert depot.lock.get(f"{server.url}/x.bw") == entry
    # elsewhere, a year later, with the same lock file
    elsewhere = Depot(depot.folder.parent / "other", depot.lock, "hg38", patience=QUICK)
    file = wanted()._replace(path=elsewhere.folder / "x.bw")
    server.files["/x.bw"] = OTHER
    text = refused(file, elsewhere)
    assert f"sha256 is {hashlib.sha256(OTHER).hexdigest()}, but {depot.lock.path} says" in text
    assert f"by removing the entry '{server.url}/x.bw' from {depot.lock.path}" in text
    assert visible(elsewhere) == []
    # the remedy works
    depot.lock.path.write_text('{"format": 1, "sources": {}}')
    fetch(file, elsewhere)
    assert file.path.read_bytes() == OTHER
    assert depot.lock.get(f"{server.url}/x.bw").sha256 == hashlib.sha256(OTHER).hexdigest()


def test_the_configs_checksum_counts_more_than_the_lock_file(server, depot, wanted):
    depot.lock.record(
        f"{server.url}/x.bw", LockEntry(url=f"{server.url}/x.bw", bytes=7, md5="0" * 32)
    )
    fetch(wanted(md5=MD5), depot)
    assert visible(depot) == ["manifest.tsv", "x.bw"]


def test_a_bare_size_in_the_config_is_pinned_all_the_same(server, depot, wanted):
    fetch(wanted(bytes=len(BODY)), depot)
    assert depot.lock.get(f"{server.url}/x.bw").sha256 == SHA256


# --------------------------------------------------------------------------- what is kept


def test_a_deleted_file_comes_back_without_the_network(server, depot, wanted):
    fetch(wanted(), depot)
    kept = [path for path in depot.hidden.iterdir() if path.suffix == ".bw"]
    assert [path.samefile(depot.folder / "x.bw") for path in kept] == [True]
    (depot.folder / "x.bw").unlink()  # as Snakemake does before it makes a file again
    assert is_here(wanted(), depot)
    fetch(wanted(), depot)
    assert (depot.folder / "x.bw").read_bytes() == BODY
    assert len(server.requests) == 1


def test_what_is_kept_is_fetched_anew_where_it_is_no_longer_what_is_wanted(server, depot, wanted):
    fetch(wanted(), depot)
    (depot.folder / "x.bw").unlink()
    server.files["/x.bw"], server.tags["/x.bw"] = OTHER, '"2"'
    fetch(wanted(md5=hashlib.md5(OTHER).hexdigest()), depot)
    assert (depot.folder / "x.bw").read_bytes() == OTHER


def test_file_systems_without_hard_links(depot, wanted, monkeypatch):
    def no_links(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    fetch(wanted(), depot)
    assert (depot.folder / "x.bw").read_bytes() == BODY
    assert not [path for path in depot.hidden.iterdir() if path.suffix == ".bw"]


def test_members_of_one_archive(server, depot, wanted, tmp_path):
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("data/../deep/table.csv", "a,b\n")
        archive.writestr("one/twin.csv", "1")
        archive.writestr("two/twin.csv", "2")
    server.files["/in.zip"] = (tmp_path / "in.zip").read_bytes()
    fetch(wanted("/in.zip", "t.csv", member="table.csv"), depot)
    fetch(wanted("/in.zip", "u.csv", member="two/twin.csv"), depot)
    local = wanted(name="v.csv", path=str(tmp_path / "in.zip"), member="one/twin.csv")
    fetch(local, depot)
    assert [(depot.folder / f"{name}.csv").read_text() for name in "tuv"] == ["a,b\n", "2", "1"]
    assert server.starts("/in.zip") == [0]
    row = rows(depot)["t.csv"]
    assert (row["member"], row["bytes"]) == ("table.csv", "4")
    assert row["checksum"] == f"sha256:{hashlib.sha256(b'a,b' + bytes([10])).hexdigest()}"
    for member, count in (("nope.csv", "no"), ("twin.csv", "2")):
        text = refused(wanted("/in.zip", "w.csv", member=member), depot)
        assert f"{count} file '{member}' in the archive, which has data/../deep/table.csv" in text
    assert not (depot.folder / "w.csv").exists()


def test_files_of_this_disk_are_copied_and_checked_and_not_pinned(depot, wanted, tmp_path):
    here = tmp_path / "my file.bw"
    here.write_bytes(BODY)
    url = f"file://{tmp_path}/my%20file.bw"
    fetch(wanted(url=url, md5=MD5), depot)
    assert (depot.folder / "x.bw").read_bytes() == BODY
    assert not (depot.folder / "x.bw").samefile(here)
    assert depot.lock.keys() == set()
    assert rows(depot)["x.bw"]["source"] == "local file"
    here.write_bytes(OTHER)
    os.utime(here, (2e9, 2e9))
    assert f"md5 is {hashlib.md5(OTHER).hexdigest()}, but the config says {MD5}" in refused(
        wanted(url=url, md5=MD5), depot
    )
    assert (depot.folder / "x.bw").read_bytes() == BODY
    fetch(wanted(url=url), depot)
    assert (depot.folder / "x.bw").read_bytes() == OTHER
    absent = wanted(name="y.bw", url="file://./absent.bw")
    assert refused(absent, depot) == "c.dnase: absent.bw: no such file; correct the path"


# --------------------------------------------------------------------------- placed by hand


@pytest.fixture
def by_hand(depot):
    """Places a file where the workflow would read it."""

    def place(content, name="x.bw"):
        depot.folder.mkdir(exist_ok=True)
        (depot.folder / name).write_bytes(content)

    return place


def test_a_good_file_placed_by_hand_is_taken_and_survives_its_deletion(
    server, depot, wanted, by_hand, caplog
):
    by_hand(BODY)
    with caplog.at_level(logging.WARNING):
        fetch(wanted(md5=MD5), depot)
    assert "x.bw: placed by hand; checked" in caplog.text
    row = rows(depot)["x.bw"]
    assert row["source"] == "127.0.0.1 (placed by hand)"
    assert row["checksum"] == f"md5:{MD5}"
    (depot.folder / "x.bw").unlink()
    fetch(wanted(md5=MD5), depot)
    assert (depot.folder / "x.bw").read_bytes() == BODY
    assert server.requests == []


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        (
            OTHER,
            {"md5": MD5},
            f"md5 is {hashlib.md5(OTHER).hexdigest()}, but the config says {MD5}",
        ),
        (BODY[:-1], {"bytes": len(BODY)}, "bytes is 499999, but the config says 500000"),
        (PAGE, {}, "an HTML page instead of the file"),
        (b"", {}, "an empty file"),
    ],
)
def test_a_wrong_file_placed_by_hand_is_refused_and_left_alone(
    depot, wanted, by_hand, content, settings, message
):
    by_hand(content)
    text = refused(wanted(**settings), depot)
    assert text.startswith(f"c.dnase: {depot.folder / 'x.bw'}: {message}")
    assert (depot.folder / "x.bw").read_bytes() == content
    assert visible(depot) == ["x.bw"]


def test_a_file_placed_by_hand_is_pinned_where_nothing_is_known(server, depot, wanted, by_hand):
    by_hand(BODY)
    verify(wanted(), depot)
    assert depot.lock.get(f"{server.url}/x.bw").sha256 == SHA256
    by_hand(OTHER[:-1])  # changed since: another size, so it is read again
    assert "x.bw: bytes is 499999, but" in refused(wanted(), depot)


def test_a_link_to_a_shared_copy(server, depot, wanted, tmp_path):
    (tmp_path / "shared.bw").write_bytes(BODY)
    depot.folder.mkdir()
    (depot.folder / "x.bw").symlink_to(tmp_path / "shared.bw")
    fetch(wanted(), depot)
    (depot.folder / "x.bw").unlink()
    fetch(wanted(), depot)
    assert (depot.folder / "x.bw").resolve() == tmp_path / "shared.bw"
    assert (tmp_path / "shared.bw").read_bytes() == BODY
    assert server.requests == []


def test_an_accession_offline_is_taken_as_it_is(depot, wanted, by_hand, caplog):
    by_hand(BODY)
    offline = Depot(depot.folder, depot.lock, "hg38", offline=True)
    with caplog.at_level(logging.WARNING):
        fetch(wanted(encode="ENCFF465GBD"), offline)
    assert "placed by hand; nothing to check by" in caplog.text
    assert rows(depot)["x.bw"]["url"] == "encode ENCFF465GBD"
    assert depot.lock.keys() == set()


def test_offline_nothing_is_fetched(server, depot, wanted):
    offline = Depot(depot.folder, depot.lock, "hg38", offline=True)
    text = refused(wanted(), offline)
    assert text.startswith(f"c.dnase: {server.url}/x.bw -> {depot.folder}/x.bw; nothing is fetched")
    assert server.requests == []
    assert not is_here(wanted(), offline)


# --------------------------------------------------------------------------- a changed config


def test_a_checksum_that_is_added_later_is_compared(depot, wanted):
    fetch(wanted(), depot)
    fetch(wanted(md5=MD5), depot)
    assert rows(depot)["x.bw"]["checksum"] == f"md5:{MD5} sha256:{SHA256}"
    assert "md5 is" in refused(wanted(md5="0" * 32), depot)
    assert (depot.folder / "x.bw").read_bytes() == BODY


def test_known_files_are_not_read_again(depot, wanted, monkeypatch):
    fetch(wanted(md5=MD5), depot)

    def never(*_):
        raise AssertionError("read again")

    monkeypatch.setattr("seq2exp.downloads.checks.checksums", never)
    fetch(wanted(md5=MD5), depot)
    verify(wanted(md5=MD5), depot)


def test_another_address_under_the_same_name_is_said(server, depot, wanted):
    fetch(wanted(), depot)
    server.files["/v2/x.bw"] = OTHER
    text = refused(wanted("/v2/x.bw"), depot)
    assert f"is the file of {server.url}/x.bw, but the config now means {server.url}/v2/x" in text
    assert (depot.folder / "x.bw").read_bytes() == BODY
    (depot.folder / "x.bw").unlink()
    fetch(wanted("/v2/x.bw"), depot)
    assert (depot.folder / "x.bw").read_bytes() == OTHER
    assert rows(depot)["x.bw"]["url"] == f"{server.url}/v2/x.bw"


def test_a_manifest_that_is_none(depot, wanted):
    fetch(wanted(), depot)
    for content in ("nonsense\n", "file\tbytes\na\tb\n", "\0"):
        (depot.folder / "manifest.tsv").write_text(content)
        assert "not a manifest as it was written; move it away" in refused(wanted(), depot)
    (depot.folder / "manifest.tsv").unlink()
    fetch(wanted(), depot)
    assert "placed by hand" in rows(depot)["x.bw"]["source"]


# --------------------------------------------------------------------------- several at once

FETCH = """
import sys
from pathlib import Path
from seq2exp.source_config import Source
from seq2exp.downloads.fetch import fetch
from seq2exp.downloads.origin import Depot
from seq2exp.lockfile import SourceLock
from seq2exp.sources import FetchedFile
folder = Path(sys.argv[1])
file = FetchedFile(folder / "sources" / "x.bw", ("c.dnase",), Source(url=sys.argv[2]))
fetch(file, Depot(folder / "sources", SourceLock(folder / "sources.lock.json"), "hg38"))
"""


def test_processes_that_fetch_the_same_file_fetch_it_once(server, depot, tmp_path):
    server.block, server.pause = 50_000, 0.05
    command = [sys.executable, "-c", FETCH, str(tmp_path), f"{server.url}/x.bw"]
    with ExitStack() as stack:
        running = [stack.enter_context(subprocess.Popen(command)) for _ in range(3)]
    assert [one.returncode for one in running] == [0, 0, 0]
    assert (depot.folder / "x.bw").read_bytes() == BODY
    assert server.starts("/x.bw") == [0]
    assert server.sent("/x.bw") == len(BODY)
    assert list(rows(depot)) == ["x.bw"]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://www.encodeproject.org/files/x", "ENCODE"),
        ("https://encodeproject.org.evil.com/x", "encodeproject.org.evil.com"),
        ("https://hgdownload.soe.ucsc.edu/x", "UCSC Genome Browser"),
        ("https://notzenodo.org/x", "notzenodo.org"),
        ("data/x.bw", "local file"),
        ("file://./data/x.bw", "local file"),
    ],
)
def test_providers(url, name):
    assert provider(url)[0] == name
