"""seq2exp download: every file of a config, whatever happens to the process."""

import csv
import hashlib
import json
import random
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest
import yaml

from seq2exp.cli import main
from seq2exp.downloads.streams import BLOCK

from ..file_server import Answer, file_server

RNG = np.random.default_rng(3)
NAMES = ("g.fa", "g.gtf", "a.bw", "b.bw", "c.bw")


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with file_server() as server:
        server.files = {f"/{name}": RNG.bytes(100_000) for name in NAMES}
        yield server


@pytest.fixture
def config(server, tmp_path):
    """Writes my.yaml, whose five files are on the server."""

    def write(**settings):
        at = {name: {"url": f"{server.url}/{name}"} for name in NAMES}
        raw = {
            "genome": {"name": "hg38", "fasta": at["g.fa"], "annotation": at["g.gtf"]},
            "cell_lines": {
                "K": {
                    "h3k27ac": at["a.bw"],
                    "dnase": at["b.bw"],
                    "expression": {"CAGE": {"bigwig": at["c.bw"]}},
                }
            },
            "models": {"signal_linear": {}},
        }
        (tmp_path / "my.yaml").write_text(yaml.safe_dump(raw | settings))

    write()
    return write


FILES = {
    "/g.fa": "results/sources/genome.fasta.g.fa",
    "/g.gtf": "results/sources/genome.annotation.g.gtf",
    "/a.bw": "results/sources/cell_lines.K.h3k27ac.a.bw",
    "/b.bw": "results/sources/cell_lines.K.dnase.b.bw",
    "/c.bw": "results/sources/cell_lines.K.expression.CAGE.bigwig.c.bw",
}


def run(capsys, *arguments):
    """Exit code (or message), stdout and stderr of one command."""
    code = 0
    try:
        main(list(arguments))
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


def listed(capsys):
    code, out, _ = run(capsys, "download", "my.yaml", "--list")
    assert code == 0
    return list(csv.DictReader(out.splitlines(), delimiter="\t"))


def all_there(server, tmp_path):
    """Whether every file is what the server has, and pinned so."""
    pins = json.loads((tmp_path / "sources.lock.json").read_text())["sources"]
    return all(
        (tmp_path / file).read_bytes() == server.files[path]
        and pins[server.url + path]["sha256"] == hashlib.sha256(server.files[path]).hexdigest()
        for path, file in FILES.items()
    )


def test_all_files_and_what_was_pinned(server, config, tmp_path, capsys, caplog):
    caplog.set_level("INFO")
    assert run(capsys, "download", "my.yaml")[0] == 0
    assert all_there(server, tmp_path)
    assert caplog.messages[-2:] == [
        "sources.lock.json: 5 new entries; keep it with the config",
        "5 files, 500.0 kB in results/sources",
    ]
    caplog.clear()
    assert run(capsys, "download", "my.yaml")[0] == 0
    assert caplog.messages == ["5 files, 500.0 kB in results/sources"]
    assert len(server.requests) == 5


def test_what_cannot_be_had_is_listed_and_keeps_nothing_else_from_coming(
    server, config, tmp_path, capsys
):
    server.answers = {"/a.bw": [Answer(404)], "/g.gtf": [Answer(403)]}
    message, _, _ = run(capsys, "download", "my.yaml")
    lines = message.splitlines()
    assert lines[0] == "error: 2 files missing:"
    assert [line.split(": ")[0] for line in lines[1:]] == [
        "  genome.annotation",
        "  cell_lines.K.h3k27ac",
    ]
    assert sum((tmp_path / file).exists() for file in FILES.values()) == 3


def test_the_list_fetches_nothing_and_knows_sizes(server, config, tmp_path, capsys):
    (tmp_path / "results" / "sources").mkdir(parents=True)
    (tmp_path / FILES["/a.bw"]).write_bytes(b"by hand")
    rows = listed(capsys)
    assert [(row["file"], row["bytes"], row["state"]) for row in rows] == [
        (file, "7", "here, not checked") if path == "/a.bw" else (file, "100000", "to fetch")
        for path, file in FILES.items()
    ]
    assert rows[1]["keys"] == "genome.annotation"
    assert rows[1]["source"] == f"{server.url}/g.gtf"
    assert sum(request.sent for request in server.requests) == 0
    assert not (tmp_path / "sources.lock.json").exists()
    (tmp_path / FILES["/a.bw"]).unlink()
    run(capsys, "download", "my.yaml")
    assert {row["state"] for row in listed(capsys)} == {"here"}


def test_the_list_of_an_offline_config_asks_nobody(server, config, capsys):
    config(offline=True)
    assert {(row["bytes"], row["state"]) for row in listed(capsys)} == {("", "to fetch")}
    assert server.requests == []


def test_the_list_of_own_files_and_accessions(config, tmp_path, capsys):
    (tmp_path / "mine.bw").write_bytes(b"12345")
    raw = yaml.safe_load((tmp_path / "my.yaml").read_text())
    cell_line = raw["cell_lines"]["K"]
    cell_line |= {"h3k27ac": {"path": "mine.bw"}, "dnase": {"path": "absent.bw"}}
    cell_line["hic"] = {"fourdn": "4DNFITUOMFUQ"}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(raw | {"offline": True}))
    rows = {row["keys"]: row for row in listed(capsys)}
    states = {key.rsplit(".", 1)[-1]: (row["bytes"], row["state"]) for key, row in rows.items()}
    assert states["h3k27ac"] == ("5", "here")
    assert states["dnase"] == ("", "missing")
    assert states["hic"] == ("", "to fetch")
    assert rows["cell_lines.K.hic"]["source"] == "fourdn 4DNFITUOMFUQ"


def test_an_offline_config_says_what_is_missing(server, config, tmp_path, capsys):
    config(offline=True)
    message, _, _ = run(capsys, "check-config", "my.yaml")
    lines = message.splitlines()
    assert lines[0] == (
        "error: my.yaml: offline: true, and 5 files missing; run `seq2exp download my.yaml` where "
        "there is a network, or put them there:"
    )
    assert lines[1:] == [
        f"  {row['keys']}: {row['source']} -> {row['file']}" for row in listed(capsys)
    ]
    assert server.requests == []
    # the command fetches for the offline workflow
    assert run(capsys, "download", "my.yaml")[0] == 0
    assert all_there(server, tmp_path)
    (tmp_path / FILES["/a.bw"]).unlink()  # is kept under another name
    code, out, _ = run(capsys, "check-config", "my.yaml")
    assert (code, out) == (0, "my.yaml: good; 5 runs, results in results/\n")
    (tmp_path / FILES["/b.bw"]).unlink()
    for kept in (tmp_path / "results/sources/.downloads").glob("*.b.bw"):
        kept.unlink()
    message, _, _ = run(capsys, "check-config", "my.yaml")
    assert [line.split(":")[0] for line in message.splitlines()[1:]] == ["  cell_lines.K.dnase"]


def kill_while_downloading(server, moments):
    """Start the command again and again; kill -9 it each time so many bytes have been sent."""
    command = [sys.executable, "-m", "seq2exp.cli", "download", "my.yaml", "--jobs", "5"]
    for moment in moments:
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None:
                if sum(request.sent for request in server.requests) >= moment:
                    process.kill()
                time.sleep(0.002)
        assert process.returncode == -9
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def refetched(server, path):
    """Bytes of a file that were sent again, for every request but the first."""
    requests = [request for request in server.requests if request.path == path]
    return [max(0, one.start + one.sent - other.start) for one, other in pairwise(requests)]


def check_kills(server, tmp_path, size, kills):
    server.files = {path: RNG.bytes(size) for path in server.files}
    server.pause = 0.01
    chance = random.Random(5)
    moments = sorted(chance.uniform(0.02, 0.95) * 5 * size for _ in range(kills))
    kill_while_downloading(server, moments)
    assert all_there(server, tmp_path)
    again = {path: refetched(server, path) for path in server.files}
    print({path: (server.sent(path), costs) for path, costs in again.items()})
    # What the process had read but not written, and what was in the sockets' buffers.
    assert max(cost for costs in again.values() for cost in costs) <= BLOCK + 4 * (1 << 16)
    assert not list((tmp_path / "results" / "sources" / ".downloads").glob("*.part*"))


def test_killed_twice(server, config, tmp_path):
    check_kills(server, tmp_path, 2_000_000, 2)


@pytest.mark.slow
def test_killed_at_ten_moments(server, config, tmp_path):
    check_kills(server, tmp_path, 8_000_000, 10)
