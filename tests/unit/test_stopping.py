"""Signals end a training with everything saved; it then ends like an undisturbed one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seq2exp.errors import Stopped
from seq2exp.stopping import SAME_REQUEST, StopSignals
from seq2exp.training_task import ExpressionTask

from .tiny_training import RECIPE, await_file, run_training, same_weights

TESTS = Path(__file__).parents[1]


def test_first_signal_is_noted_and_the_callers_handlers_return():
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    try:
        with StopSignals() as signals:
            assert signals.requested is None
            signal.raise_signal(signal.SIGUSR1)
            signal.raise_signal(signal.SIGTERM)  # the same request, by another way
            assert signals.requested == signal.SIGUSR1
        assert not seen
        signal.raise_signal(signal.SIGUSR1)
        assert seen == [signal.SIGUSR1]
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert str(signals.stopped(7, 12)) == (
        "stopped by SIGUSR1 at step 7 of 12; started again, training goes on there"
    )


def test_a_second_signal_ends_the_process_at_once():
    code = (
        "import time\nfrom seq2exp.stopping import StopSignals\n"
        "with StopSignals() as signals:\n"
        "    print('ready', flush=True)\n"
        "    while True:\n"
        "        time.sleep(0.02)\n"
        "        if signals.requested: print(signals.requested.name, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGUSR1)
        assert process.stdout.readline() == b"SIGUSR1\n"
        time.sleep(SAME_REQUEST + 0.1)
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(timeout=10) == -signal.SIGTERM


# Validation is after every third step: asked to stop in step 6, training goes on from the fifth.
@pytest.mark.parametrize(
    ("hook", "step", "saved", "passes"),
    [
        ("training_step", 0, 1, 1),
        ("training_step", 3, 4, 2),
        ("training_step", 5, 5, 1),
        ("validation_step", 6, 5, 1),
        ("training_step", 11, 11, 2),
    ],
)
def test_stopped_training_ends_like_an_undisturbed_one(
    training_data, undisturbed, tmp_path, monkeypatch, hook, step, saved, passes
):
    recipe = RECIPE.model_copy(update={"accumulate": passes, "checkpoint_every": 100})
    original = getattr(ExpressionTask, hook)

    def signalled(self, packed, batch_idx):
        if self.global_step == step:
            os.kill(os.getpid(), signal.SIGUSR1)
        return original(self, packed, batch_idx)

    handlers = [signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGTERM)]
    with monkeypatch.context() as patch:
        patch.setattr(ExpressionTask, hook, signalled)
        with pytest.raises(Stopped, match=f"by SIGUSR1 at step {saved} of 12"):
            run_training(training_data, tmp_path, recipe=recipe)
    assert [signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGTERM)] == handlers
    assert not (tmp_path / "model.ckpt").exists()
    run_training(training_data, tmp_path, recipe=recipe)
    same_weights(tmp_path, undisturbed, within=0.0 if passes == 1 else 1e-6)
    assert not list(tmp_path.glob("work/*/*ted.ckpt")), "a later run starts anew"


JOB_SCRIPT = """
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, {root!r})
from seq2exp.jobs import job

with job(SimpleNamespace(log=[{log!r}], threads=1, rule="train")):
    from tests.unit.tiny_training import RECIPE, run_training

    recipe = RECIPE.model_copy(update={{"steps": 400, "checkpoint_every": 20}})
    run_training(Path({data!r}), Path({out!r}), recipe=recipe)
"""


def test_a_signalled_job_fails_with_one_line_and_leaves_a_whole_checkpoint(training_data, tmp_path):
    paths = {"root": TESTS.parent, "log": tmp_path / "log", "data": training_data, "out": tmp_path}
    script = JOB_SCRIPT.format(**{name: str(path) for name, path in paths.items()})
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    await_file(tmp_path, "work/*/resume.ckpt")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    (line,) = errors.splitlines()
    assert line.startswith("train: stopped by SIGTERM at step ")
    assert line.endswith(" of 400; started again, training goes on there")
    assert line in (tmp_path / "log").read_text()
    assert "Traceback" not in (tmp_path / "log").read_text()
    (folder,) = (tmp_path / "work").iterdir()
    assert not list(folder.glob("*tmp*"))
