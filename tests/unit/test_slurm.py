"""Jobs that an earlier, killed Snakemake has left in the queue."""

import subprocess

import pytest

from seq2exp import slurm
from seq2exp.errors import UserError

QUEUE = """\
12|rule_train_wildcards_K562_CAGE|/lab/project
13|rule_predict_wildcards_K562|/lab/project
14|rule_train|/lab/other
15|(null)|/lab/project
16|group_figures_a|/lab/project
"""


@pytest.fixture
def queue(monkeypatch):
    """What squeue prints; None: it does not answer."""
    answer = {"text": QUEUE}

    def run(command, **how):
        assert command[0] == "squeue"
        if answer["text"] is None:
            raise subprocess.TimeoutExpired(command, how["timeout"])
        return subprocess.CompletedProcess(command, 0, stdout=answer["text"], stderr="")

    monkeypatch.setattr(slurm.subprocess, "run", run)
    monkeypatch.setattr(slurm.shutil, "which", lambda name: f"/usr/bin/{name}")
    return answer


def test_jobs_of_the_folder_that_snakemake_has_submitted(queue):
    assert slurm.jobs_in("/lab/project") == ["12", "13", "16"]
    assert slurm.jobs_in("/lab/other") == ["14"]
    assert slurm.jobs_in("/lab") == []


def test_the_message_names_them_and_what_to_do(queue):
    queue["text"] = "7|rule_train|/lab/a\n21|rule_predict|/lab/a\n"
    with pytest.raises(UserError) as error:
        slurm.refuse_leftover_jobs("/lab/a")
    assert "Slurm still has 2 jobs of /lab/a from before (7 21)" in str(error.value)
    assert "scancel 7 21" in str(error.value)
    assert "\n" not in str(error.value)
    slurm.refuse_leftover_jobs("/lab/b")


def test_no_slurm_and_no_answer_stop_nothing(queue, monkeypatch):
    queue["text"] = None
    assert slurm.jobs_in("/lab/project") == []
    monkeypatch.setattr(slurm.shutil, "which", lambda name: None)
    queue["text"] = QUEUE
    assert slurm.jobs_in("/lab/project") == []
