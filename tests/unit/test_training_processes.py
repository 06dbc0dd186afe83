"""Several processes and passes train like one: the same draws, the same genes, the same weights."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from seq2exp import launching
from seq2exp.batching import Share, ShuffledBatches, share_batches
from seq2exp.errors import Stopped, UserError
from seq2exp.launching import check_machine, srun_command
from seq2exp.training_config import AugmentConfig, TrainingConfig
from seq2exp.training_task import ExpressionTask

from .tiny_training import RECIPE, SOFT, await_file, run_training, same_weights

TWO = {"devices": 2}
LONG = RECIPE.model_copy(
    update={
        "steps": 30,
        "validate_every": 1.2,
        "checkpoint_every": 100,
        "augment": AugmentConfig(reverse_complement=True, jitter=50),
    }
)
NARROW = SOFT.model_copy(update={"window_length": 900})


@pytest.mark.parametrize(("processes", "passes"), [(1, 1), (2, 1), (1, 4), (2, 2), (4, 2)])
def test_shares_make_up_the_batches(processes, passes):
    whole = list(ShuffledBatches(27, 8, steps=7, seed=3))
    shares = [
        ShuffledBatches(27, 8, steps=7, seed=3, share=Share(rank, processes, passes))
        for rank in range(processes)
    ]
    assert {len(share) for share in shares} == {7 * passes}
    rounds = list(zip(*shares, strict=True))  # of each pass, the windows of each process
    for step, batch in enumerate(whole):
        in_passes = rounds[step * passes : (step + 1) * passes]
        assert [window for round in in_passes for own in round for window in own] == batch
    positions = [
        share.share.positions(8, 5 * passes + p) for p in range(passes) for share in shares
    ]
    assert [i for own in positions for i in range(8)[own]] == list(range(8))


@pytest.mark.parametrize("processes", [1, 2, 3, 4])
def test_every_validation_gene_is_counted_once(processes):
    shares = [share_batches(11, 2, Share(rank, processes)) for rank in range(processes)]
    genes = [gene for batches in shares for batch in batches for gene in batch]
    assert sorted(genes) == list(range(11))
    assert max(len(batch) for batches in shares for batch in batches) <= 2


def test_batch_size_must_be_divisible():
    with pytest.raises(
        ValueError,
        match=r"batch_size 8 cannot be divided by devices 3 x nodes 1 x accumulate 1 = 3",
    ):
        TrainingConfig(devices=3)
    recipe = TrainingConfig(devices=2, nodes=2, accumulate=2)
    assert (recipe.processes, recipe.windows_per_pass) == (4, 1)


def test_several_nodes_are_tasks_of_the_slurm_job(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    recipe = TrainingConfig(nodes=2, devices=4, accelerator="cpu")
    command = srun_command(recipe, ["python"])
    expected = {"--nodes=2", "--ntasks=8", "--ntasks-per-node=4", "--cpus-per-task=2"}
    assert expected < set(command)
    with pytest.raises(UserError, match=r"training\.nodes 2: several nodes need a Slurm job"):
        check_machine(recipe)


@pytest.fixture(scope="module")
def odd_data(training_data, tmp_path_factory) -> Path:
    """The same data with 7 genes to validate."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "store").symlink_to(training_data / "store")
    folds = pd.read_csv(training_data / "folds.tsv", sep="\t")
    first = folds.index[folds["fold1"] == "valid"][0]
    folds.drop(first).to_csv(folder / "folds.tsv", sep="\t", index=False)
    return folder


@pytest.fixture(scope="module")
def one_process(odd_data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("one")
    run_training(odd_data, out, model=NARROW, recipe=LONG)
    return out


def assert_same_outcome(out: Path, expected: Path) -> None:
    ours, theirs = (json.loads((folder / "metrics.json").read_text()) for folder in (out, expected))
    assert ours["best_step"] == theirs["best_step"]
    assert ours["valid_genes"] == 7
    for split in ("valid", "test"):
        assert ours[split] == pytest.approx(theirs[split], abs=1e-5)
    histories = [pd.read_csv(folder / "history.csv") for folder in (out, expected)]
    ours, theirs = (history.drop(columns="seconds") for history in histories)
    pd.testing.assert_frame_equal(ours, theirs, rtol=0, atol=1e-5)
    same_weights(out, expected, within=1e-5)


def test_stopped_in_two_processes_it_goes_on_in_two_with_two_passes(
    odd_data, one_process, tmp_path
):
    def signal_when_under_way():
        await_file(tmp_path, "work/*/resume.ckpt")
        os.kill(os.getpid(), signal.SIGUSR1)

    sender = threading.Thread(target=signal_when_under_way)
    sender.start()
    with pytest.raises(Stopped, match=r"stopped by SIGUSR1 at step \d+ of 30"):
        run_training(odd_data, tmp_path, model=NARROW, recipe=LONG.model_copy(update=TWO))
    sender.join()
    recipe = LONG.model_copy(update=TWO | {"accumulate": 2})
    run_training(odd_data, tmp_path, model=NARROW, recipe=recipe)
    assert_same_outcome(tmp_path, one_process)
    assert not torch.distributed.is_initialized()


SRUN = """#!{python}
# As Slurm's: one task per node, numbered by SLURM_PROCID; ends the others with the first that fails.
import os, subprocess, sys

flags = dict(a.removeprefix("--").partition("=")[::2] for a in sys.argv[1:] if a.startswith("--"))
command = sys.argv[sys.argv.index({python!r}) :]
tasks, per_node = int(flags["ntasks"]), int(flags["ntasks-per-node"])
running = []
for rank in range(tasks):
    node, local = divmod(rank, per_node)
    slurm = {{"PROCID": rank, "LOCALID": local, "NODEID": node, "NTASKS": tasks,
             "NNODES": flags["nodes"], "NTASKS_PER_NODE": per_node, "JOB_NAME": flags["job-name"],
             "NODELIST": "localhost"}}
    environment = {{**os.environ, **{{f"SLURM_{{k}}": str(v) for k, v in slurm.items()}}}}
    running.append(subprocess.Popen(command, env=environment))
sys.exit(max(process.wait() for process in running))
"""


@pytest.mark.slow
def test_killed_in_one_process_it_goes_on_over_two_nodes(
    odd_data, one_process, tmp_path, monkeypatch
):
    srun = tmp_path / "bin" / "srun"
    srun.parent.mkdir()
    srun.write_text(SRUN.format(python=sys.executable))
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", f"{srun.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", str(os.getpid()))
    original = ExpressionTask.training_step

    def failing(self, packed, batch_idx):
        if self.global_step == 23:
            raise OSError("the node died")
        return original(self, packed, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(ExpressionTask, "training_step", failing)
        with pytest.raises(OSError, match="node died"):
            run_training(odd_data, tmp_path, model=NARROW, recipe=LONG)
    recipe = LONG.model_copy(update={"nodes": 2})
    run_training(odd_data, tmp_path, model=NARROW, recipe=recipe)
    assert_same_outcome(tmp_path, one_process)


def test_a_failing_process_ends_the_others(monkeypatch, tmp_path):
    """Without torch: the first of two processes fails, the second would sleep for long."""
    code = "import os, sys, time; os.environ['LOCAL_RANK'] == '0' and sys.exit(3); time.sleep(60)"
    monkeypatch.setattr("seq2exp.launching.GRACE", 0.2)
    started = time.monotonic()
    with launching.Group() as group:
        group.start(RECIPE.model_copy(update=TWO), [sys.executable, "-c", code])
        assert group.wait() == [3, -signal.SIGKILL]
    assert time.monotonic() - started < 30


def test_processes_do_not_outlive_the_one_that_started_them(tmp_path):
    code = "import sys; from seq2exp.training_process import end_with_parent; end_with_parent()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(timeout=0.5)
    child.stdin.close()
    assert child.wait(timeout=30) == 1
