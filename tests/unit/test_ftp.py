"""Downloads over ftp, from a server on this machine."""

import numpy as np
import pytest

from seq2exp.downloads.transfer import Patience, discard, download
from seq2exp.errors import UserError

from ..ftp_server import ftp_server

BODY = np.random.default_rng(1).bytes(1_000_000)
QUICK = Patience(retries=2, first_wait=0.01, timeout=(2, 2), requests_per_second=1000)


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with ftp_server() as server:
        server.files["pub/x.gz"] = BODY
        yield server


def get(server, part, path="/pub/x.gz", patience=QUICK):
    download(server.url + path, part, name="k", patience=patience)


def test_a_cut_transfer_goes_on_where_it_was(server, tmp_path):
    server.cuts = [300_000, 500_000]
    get(server, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == BODY
    assert server.sent == len(BODY)
    assert [line for line in server.commands if "REST" in line] == ["REST 300000", "REST 800000"]


def test_a_whole_part_is_not_fetched_again(server, tmp_path):
    get(server, tmp_path / "part")
    get(server, tmp_path / "part")
    assert server.sent == len(BODY)


@pytest.mark.parametrize("change", ["version", "no version", "no restarts"])
def test_what_cannot_be_continued_starts_anew(server, tmp_path, change):
    if change == "no version":
        server.changed = ""
    server.cuts = [300_000]
    with pytest.raises(UserError, match=r"k: ftp.*/x\.gz: 426 connection closed, 1 times"):
        get(server, tmp_path / "part", patience=Patience(retries=0, requests_per_second=1000))
    if change == "version":
        server.files["pub/x.gz"], server.changed = BODY[::-1], "20250101000000"
    server.restarts = change != "no restarts"
    get(server, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == server.files["pub/x.gz"]
    discard(tmp_path / "part")
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("{url}/pub/absent", "answered 550 no such file; correct the address"),
        ("ftp://me:wrong@{host}/pub/x.gz", "answered 530 no; correct the address"),
        ("{url}/a%0d%0aDELE x", "an illegal newline character should not be contained"),
        ("ftp://127.0.0.1:9/x", "no connection, 3 times in a row"),
    ],
)
def test_refused(server, tmp_path, address, message):
    url = address.format(url=server.url, host=server.url.removeprefix("ftp://"))
    with pytest.raises(UserError) as caught:
        download(url, tmp_path / "part", name="k", patience=QUICK)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not [line for line in server.commands if "DELE" in line]
    assert not (tmp_path / "part").exists()
