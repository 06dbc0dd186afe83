"""A workflow script's messages, errors and exit code."""

import logging
import os
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from seq2exp.errors import Stopped, UserError
from seq2exp.jobs import THREAD_VARIABLES, job, share_package

SOMETHING_ODD = "12 genes lie outside every fold"


@pytest.fixture
def snakemake(tmp_path, monkeypatch):
    for variable in THREAD_VARIABLES:
        monkeypatch.setenv(variable, "99")
    return SimpleNamespace(rule="train", threads=3, log=[str(tmp_path / "logs" / "train.log")])


def read_log(snakemake):
    with open(snakemake.log[0]) as file:
        return file.read()


@pytest.mark.filterwarnings("default")
def test_every_kind_of_message_lands_in_the_log(snakemake, capfd):
    with job(snakemake):
        print("to stdout")
        print("to stderr", file=sys.stderr)
        os.write(2, b"from a C library\n")
        logging.getLogger("seq2exp").info("12 genes kept")
        warnings.warn(SOMETHING_ODD, UserWarning, stacklevel=1)
    log = read_log(snakemake)
    for message in ("to stdout\n", "to stderr\n", "from a C library\n", SOMETHING_ODD):
        assert log.count(message) == 1
    assert "INFO seq2exp: 12 genes kept\n" in log
    assert capfd.readouterr() == ("", "")


def test_streams_and_logging_are_as_before_afterwards(snakemake, capfd):
    before = (sys.stdout, sys.stderr, list(logging.getLogger().handlers), logging.getLogger().level)
    with job(snakemake):
        pass
    root = logging.getLogger()
    assert (sys.stdout, sys.stderr, list(root.handlers), root.level) == before
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


@pytest.mark.parametrize("kind", [UserError, Stopped])
def test_user_error_is_one_line_in_the_log_and_on_stderr(snakemake, capfd, kind):
    with pytest.raises(SystemExit) as stop, job(snakemake):
        raise kind("genes.tsv: row 3: tss -1 is negative; correct it")
    line = "train: genes.tsv: row 3: tss -1 is negative; correct it\n"
    assert stop.value.code == 1
    assert read_log(snakemake) == line
    assert capfd.readouterr().err == line


def test_our_own_slip_leaves_its_traceback_in_the_log_only(snakemake, capfd):
    with pytest.raises(SystemExit) as stop, job(snakemake):
        {}["absent"]
    assert stop.value.code == 1
    assert "Traceback (most recent call last)" in read_log(snakemake)
    err = capfd.readouterr().err
    assert err == f"train: KeyError: 'absent' (traceback in {snakemake.log[0]})\n"


def test_a_second_attempt_keeps_the_first_ones_log(snakemake):
    for text in ("first", "second"):
        with job(snakemake):
            print(text)
    assert read_log(snakemake) == "first\nsecond\n"


def test_libraries_imported_in_the_body_get_the_rules_threads(snakemake):
    with job(snakemake):
        assert {os.environ[variable] for variable in THREAD_VARIABLES} == {"3"}


def test_exit_code_of_a_script(tmp_path):
    script = textwrap.dedent(
        f"""
        from types import SimpleNamespace
        from seq2exp.errors import Stopped, UserError
        from seq2exp.jobs import job
        with job(SimpleNamespace(rule="fetch", threads=1, log=[{str(tmp_path / "log")!r}])):
            raise UserError("no such file: x.bw; correct the path")
        """
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "fetch: no such file: x.bw; correct the path\n"
    assert done.stdout == ""


def test_a_python_without_the_package_imports_it_from_the_repository(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    bare = [sys.executable, "-S", "-c", "import seq2exp"]  # -S: no site-packages
    assert subprocess.run(bare, cwd="/", capture_output=True).returncode != 0
    repository = Path(__file__).parents[2]
    share_package(repository)
    assert subprocess.run(bare, cwd="/").returncode == 0
    assert os.environ["PYTHONPATH"] == f"{repository}{os.pathsep}/elsewhere"
