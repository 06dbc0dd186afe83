"""Downloads inside the workflow: shared with the command, offline, and never in a dry run."""

import os
import subprocess

import pytest
import yaml

from seq2exp.cli import main

from ..file_server import file_server
from .conftest import ROOT, run_snakemake
from .test_dry_run import job_counts

NO_NETWORK = """
import os, socket

def refuse(self, address, *_):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        with open(os.environ["SEQ2EXP_TEST_CONNECTIONS"], "a") as log:
            print(address, file=log)
        raise OSError("no network in this test")
    return connect(self, address)

connect = socket.socket.connect
socket.socket.connect = socket.socket.connect_ex = refuse
"""


@pytest.fixture
def connections(tmp_path, monkeypatch):
    """Cut all Python processes off from the network; the file in which attempts are written."""
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "sitecustomize.py").write_text(NO_NETWORK)
    path = os.pathsep.join([str(tmp_path / "cut"), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path.rstrip(os.pathsep))
    monkeypatch.setenv("SEQ2EXP_TEST_CONNECTIONS", str(tmp_path / "connections"))
    return tmp_path / "connections"


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with file_server() as server:
        server.files = {f"/{name}": name.encode() * 50_000 for name in "abcde"}
        yield server


@pytest.fixture
def remote_config(server):
    at = {name: {"url": f"{server.url}/{name}"} for name in "abcde"}
    tracks = {"h3k27ac": at["c"], "dnase": at["d"]}
    return {
        "genome": {"name": "hg38", "fasta": at["a"], "annotation": at["b"]},
        "cell_lines": {"K": tracks | {"expression": {"CAGE": {"bigwig": at["e"]}}}},
        "models": {"signal_linear": {}},
    }


def test_the_block_blocks(connections):
    code = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/')"
    done = subprocess.run(["python", "-c", code], capture_output=True, text=True)
    assert "no network in this test" in done.stderr
    assert connections.read_text() == "('127.0.0.1', 9)\n"


def test_a_dry_run_of_the_root_config_asks_nobody(connections, tmp_path):
    (tmp_path / "config.yaml").write_text((ROOT / "config.yaml").read_text())
    done = run_snakemake("--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "fetch_source" in done.stdout
    assert not connections.exists()
    # and nothing but Snakemake's own folder is written
    assert sorted(path.name for path in tmp_path.iterdir()) == [".snakemake", "config.yaml", "cut"]


@pytest.mark.parametrize("arguments", [("--dry-run",), ()])
def test_offline_stops_before_any_job(connections, tmp_path, arguments):
    raw = yaml.safe_load((ROOT / "config.yaml").read_text()) | {"offline": True}
    done = run_snakemake(*arguments, cwd=tmp_path, config=raw)
    assert done.returncode == 1
    start = done.stderr.index("error: my.yaml: offline: true, and ")
    lines = done.stderr[start:].splitlines()
    assert (
        "  cell_lines.K562.h3k27ac: encode ENCFF465GBD -> "
        "results/sources/cell_lines.K562.h3k27ac.ENCFF465GBD.bigWig"
    ) in lines
    assert len(lines) - 1 == int(lines[0].split("and ")[1].split(" ")[0]) > 10
    assert "Job stats" not in done.stdout
    assert not connections.exists()


def test_the_workflow_finds_what_the_command_has_fetched(
    server, remote_config, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(remote_config))
    main(["download", "my.yaml"])
    done = run_snakemake("--dry-run", cwd=tmp_path, config=remote_config | {"offline": True})
    assert done.returncode == 0, done.stderr
    counts = job_counts(done)
    assert counts["build_store"] == 1
    assert "fetch_source" not in counts


def test_the_rule_fetches_once_however_often_it_runs(server, remote_config, tmp_path):
    target = "results/sources/genome.fasta.a"
    done = run_snakemake(target, cwd=tmp_path, config=remote_config)
    assert done.returncode == 0, done.stderr
    assert "sources.lock.json: 1 new entry; keep it with the config" in done.stderr
    sources = tmp_path / "results" / "sources"
    assert (sources / "genome.fasta.a").read_bytes() == server.files["/a"]
    assert len((sources / "manifest.tsv").read_text().splitlines()) == 2
    # a checksum that is added makes nothing anew
    wrong = remote_config["genome"] | {"fasta": {"url": f"{server.url}/a", "md5": "0" * 32}}
    changed = remote_config | {"genome": wrong}
    done = run_snakemake("--dry-run", target, cwd=tmp_path, config=changed)
    assert "Nothing to be done" in done.stdout
    # made anew, it is not downloaded again
    done = run_snakemake("--force", target, cwd=tmp_path, config=remote_config)
    assert done.returncode == 0, done.stderr
    assert (sources / "genome.fasta.a").read_bytes() == server.files["/a"]
    assert len(server.requests) == 1


def test_a_wrong_file_placed_by_hand_stops_the_run_before_any_job(server, remote_config, tmp_path):
    raw = remote_config["genome"] | {"fasta": {"url": f"{server.url}/a", "md5": "0" * 32}}
    sources = tmp_path / "results" / "sources"
    sources.mkdir(parents=True)
    (sources / "genome.fasta.a").write_bytes(b"something else")
    done = run_snakemake(cwd=tmp_path, config=remote_config | {"genome": raw})
    assert done.returncode == 1
    assert "error: genome.fasta: results/sources/genome.fasta.a: md5 is " in done.stderr
    assert "Traceback" not in done.stderr
    assert (sources / "genome.fasta.a").read_bytes() == b"something else"
    assert server.requests == []
    assert not (tmp_path / "results" / "logs").exists()
