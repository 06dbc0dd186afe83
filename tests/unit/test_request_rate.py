"""The pace of requests: kept by several processes together, and by no file that is broken."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from seq2exp.downloads.rate import wait_for_turn

SEND = """
import sys, time
from seq2exp.downloads.rate import wait_for_turn
for _ in range(8):
    wait_for_turn("portal.org", 20)
    print(time.time())
"""


def test_processes_keep_the_pace_together(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    command = [sys.executable, "-c", SEND]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    times = sorted(float(line) for one in running for line in one.communicate()[0].split())
    assert len(times) == 24
    # 24 turns of 1/20 s; each process may be late on its turn, none can be early.
    assert times[-1] - times[0] >= 23 / 20 - 0.1


def test_hosts_do_not_wait_for_each_other(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    start = time.monotonic()
    for host in ("a", "b", "../c", ""):
        wait_for_turn(host, 0.1)
    assert time.monotonic() - start < 5
    assert sorted(path.name for path in (tmp_path / "seq2exp" / "requests").iterdir()) == sorted(
        name + end for name in ("a", "b", "_c", "_") for end in ("", ".lock")
    )


@pytest.mark.parametrize("content", ["", "no number", "99999999999.0"])
def test_a_broken_record_or_a_clock_that_was_set_back_costs_nothing(tmp_path, monkeypatch, content):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    wait_for_turn("a", 0.1)
    (tmp_path / "seq2exp" / "requests" / "a").write_text(content)
    start = time.monotonic()
    wait_for_turn("a", 0.1)
    assert time.monotonic() - start < 5  # of 10 s


def test_a_home_that_cannot_be_written_to(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: wait_for_turn("a", 100), range(4)))
    assert list(tmp_path.glob("seq2exp-requests-*/a"))
