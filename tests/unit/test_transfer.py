"""Downloads from a real server on this machine that breaks in every way that servers break."""

import hashlib
import logging
import re
import shutil
import time

import numpy as np
import pytest

from seq2exp.downloads import transfer
from seq2exp.downloads.transfer import Patience, download
from seq2exp.errors import UserError

from ..file_server import PAGE, Answer, file_server

BODY = np.random.default_rng(1).bytes(3_000_000)
QUICK = Patience(retries=3, first_wait=0.01, timeout=(2, 2), requests_per_second=1000)


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with file_server() as server:
        server.files["/x.bw"] = BODY
        yield server


@pytest.fixture
def part(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "x.part"


def get(server, part, path="/x.bw", **settings):
    download(server.url + path, part, name="k", patience=QUICK, **settings)


def refused(server, part, path="/x.bw", **settings):
    """The one line that a failing download ends with."""
    with pytest.raises(UserError) as caught:
        get(server, part, path, **settings)
    message = str(caught.value)
    assert message.startswith(f"k: {server.url}{path}: ")
    assert "\n" not in message
    return message


def test_a_connection_that_is_cut_twice_goes_on_where_it_was(server, part):
    server.answers["/x.bw"] = [Answer(cut=1_000_000), Answer(cut=500_000)]
    get(server, part)
    assert part.read_bytes() == BODY
    assert server.starts("/x.bw") == [0, 1_000_000, 1_500_000]
    assert server.sent("/x.bw") == len(BODY)


def test_busy_servers_are_asked_again_and_their_page_is_never_taken(server, part, caplog):
    server.answers["/x.bw"] = [Answer(503), Answer(429, headers={"Retry-After": "1"})]
    before = time.monotonic()
    with caplog.at_level(logging.WARNING):
        get(server, part)
    assert part.read_bytes() == BODY
    assert time.monotonic() - before > 1
    assert [record.message.split(": ", 2)[2][:3] for record in caplog.records] == ["503", "429"]


def test_a_server_that_stays_busy(server, part):
    server.answers["/x.bw"] = [Answer(503)] * 9
    message = refused(server, part)
    assert "503 Service Unavailable, 4 times in a row; check the address and the network" in message
    assert len(server.requests) == 4
    assert not part.exists()


def test_a_server_that_asks_for_more_patience_than_there_is(server, part):
    server.answers["/x.bw"] = [Answer(503, headers={"Retry-After": "7200"})]
    assert "the server asks to come back in 2.0 h" in refused(server, part)
    assert len(server.requests) == 1


def test_a_range_that_is_ignored_starts_anew(server, part):
    server.answers["/x.bw"] = [Answer(cut=1_000_000), Answer(ranges=False)]
    get(server, part)
    assert part.read_bytes() == BODY
    assert server.starts("/x.bw") == [0, 0]


def test_progress_gives_back_patience(server, part):
    server.answers["/x.bw"] = [Answer(cut=200_000)] * 12
    get(server, part)
    assert part.read_bytes() == BODY
    # without progress (no ranges: the same bytes again and again) it ends
    part.unlink()
    server.answers["/x.bw"] = [Answer(cut=200_000, ranges=False)] * 12
    assert "the connection broke off, 4 times in a row" in refused(server, part)
    assert len(server.answers["/x.bw"]) == 8  # the first brought something, and counts as a failure


def test_a_content_length_that_is_too_large(server, part):
    # once: the next answer (416) says where the file ends
    server.answers["/x.bw"] = [Answer(extra_length=100)]
    get(server, part)
    assert part.read_bytes() == BODY
    assert server.sent("/x.bw") == len(BODY)
    part.unlink()
    server.answers["/x.bw"] = [Answer(extra_length=100, ranges=False)] * 9
    assert "the connection broke off, 4 times in a row" in refused(server, part)


def test_a_file_that_changes_between_two_tries(server, part):
    def change(server):
        server.files["/x.bw"], server.tags["/x.bw"] = BODY[::-1], '"2"'
        return Answer()

    server.answers["/x.bw"] = [Answer(cut=1_000_000), change]
    get(server, part)
    assert part.read_bytes() == BODY[::-1]
    assert server.starts("/x.bw") == [0, 0]


def test_a_later_call_continues_the_same_version_only(server, part):
    for tag, starts in (('"1"', [0, 400_000]), ('W/"1"', [0, 0]), ("", [0, 0])):
        server.requests.clear()
        server.tags["/x.bw"] = tag
        server.answers["/x.bw"] = [Answer(cut=400_000), *[Answer(404)]]
        assert "answered 404" in refused(server, part)
        assert part.stat().st_size == 400_000
        get(server, part)
        assert part.read_bytes() == BODY
        assert [starts[0], starts[-1]] == [server.starts("/x.bw")[0], server.starts("/x.bw")[-1]]
        transfer.discard(part)


def test_a_part_without_a_version_or_of_another_address_is_not_continued(server, part):
    part.write_bytes(b"something else")
    get(server, part)
    assert part.read_bytes() == BODY
    server.files["/y.bw"] = BODY[::-1]
    part.write_bytes(BODY[:1000])
    get(server, part, "/y.bw")
    assert part.read_bytes() == BODY[::-1]
    assert server.starts("/x.bw") + server.starts("/y.bw") == [0, 0]


def test_a_part_that_is_whole_already(server, part):
    get(server, part)
    sent = server.sent("/x.bw")
    get(server, part)
    assert part.read_bytes() == BODY
    assert server.sent("/x.bw") == sent


def test_a_part_that_is_longer_than_the_file_starts_anew(server, part):
    get(server, part)
    server.files["/x.bw"] = BODY[:1000]
    get(server, part)
    assert part.read_bytes() == BODY[:1000]


def test_a_compressed_transfer_stays_compressed(server, part):
    server.files["/x.gz"] = b"\x1f\x8b" + BODY
    server.answers["/x.gz"] = [Answer(headers={"Content-Encoding": "gzip"})]
    get(server, part, "/x.gz")
    assert part.read_bytes() == b"\x1f\x8b" + BODY


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(404), "answered 404 Not Found; correct the address"),
        (Answer(403), "answered 403 Forbidden; where the file needs a login, put it into ~/.netrc"),
        (Answer(204, page=b""), "answered 204 No Content; correct the address"),
        (Answer(206), "answered 206 Partial Content; correct the address"),
        (Answer(302, headers={"Location": "gopher://x"}), "cannot be asked for (No connection ada"),
    ],
)
def test_what_another_try_would_not_better_is_tried_once(server, part, answer, message):
    server.answers["/x.bw"] = [answer]
    assert message in refused(server, part)
    assert len(server.requests) == 1
    assert list(part.parent.iterdir()) == []


def test_a_page_instead_of_data_is_refused_even_with_status_200(server, part):
    server.files["/login"] = b"\n" + PAGE
    assert "an HTML page instead of the file" in refused(server, part, "/login")
    assert list(part.parent.iterdir()) == []


def test_a_size_that_is_not_the_one_is_known_before_the_download(server, part):
    def check(size):
        raise UserError(f"not {size}")

    with pytest.raises(UserError, match="not 3000000"):
        get(server, part, check_size=check)
    assert list(part.parent.iterdir()) == []


def test_no_server(part):
    with pytest.raises(UserError, match=r"k: http://127\.0\.0\.1:9/x: no connection, 1 times in a"):
        download("http://127.0.0.1:9/x", part, name="k", patience=Patience(retries=0))


def test_a_server_that_falls_silent(server, part):
    server.pause = 1.0
    quick = Patience(retries=0, timeout=(0.2, 0.2), requests_per_second=1000)
    with pytest.raises(UserError, match="no data in time, 1 times in a row"):
        download(f"{server.url}/x.bw", part, name="k", patience=quick)


def test_a_full_disk_is_known_before_the_download(server, part, monkeypatch):
    usage = shutil.disk_usage(part.parent)._replace(free=102_000_000)
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda path: usage)
    message = refused(server, part)
    assert f"{part.parent} needs 103.0 MB more, 102.0 MB are free; make room" in message
    assert server.sent("/x.bw") < len(BODY)
    assert list(part.parent.iterdir()) == []


def test_a_disk_that_fills_up_keeps_what_is_there(server, part, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(transfer.os, "fsync", full)
    assert f"{part} cannot be written (No space left on device)" in refused(server, part)
    monkeypatch.undo()
    get(server, part)
    assert part.read_bytes() == BODY
    assert server.sent("/x.bw") == len(BODY)


def test_waits_double_and_are_spread():
    waits = [[Patience().wait(n, None) for _ in range(200)] for n in range(1, 10)]
    for number, some in enumerate(waits):
        ceiling = min(120, 2**number)
        assert ceiling / 2 <= min(some) < max(some) <= ceiling
        assert np.std(some) > ceiling / 10
    assert Patience().wait(1, 30) == 30


def test_progress_in_a_log(server, part, monkeypatch, caplog):
    monkeypatch.setattr("seq2exp.downloads.progress.LINE_EVERY", 0.1)
    server.block, server.pause = 300_000, 0.05
    with caplog.at_level(logging.INFO):
        get(server, part)
    lines = [record.message for record in caplog.records if " of 3.0 MB (" in record.message]
    assert 2 <= len(lines) <= 6
    assert re.fullmatch(r"k: [\d.]+ [kM]B of 3\.0 MB \(\d+%\), [\d.]+ MB/s, \d s left", lines[0])


def test_a_file_of_300_mb_resumes_without_fetching_anything_again(server, part):
    block = np.random.default_rng(2).bytes(1_000_000)
    server.files["/big"] = block * 300
    server.answers["/big"] = [Answer(cut=n) for n in (100_000_000, 33_333_333, 1, 99_999_999)]
    server.block = 1 << 20
    get(server, part, "/big")
    assert server.starts("/big") == [0, 100_000_000, 133_333_333, 133_333_334, 233_333_333]
    assert server.sent("/big") == 300_000_000
    with open(part, "rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    assert digest == hashlib.sha256(server.files["/big"]).hexdigest()
