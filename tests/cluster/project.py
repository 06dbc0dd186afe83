"""One user's folder: Snakemake started, killed and watched in it; its results compared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from tests.cluster.slurm import output, wait_until
from tests.workflow.conftest import ROOT, run_snakemake

MODEL = Path("results/demo/models/SimA/CAGE/seq2exp_soft/fold1_seed2")
HURRY = ("--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "15")


class Project:
    """A working directory of the workflow.

    Parameters
    ----------
    folder
        Where it lies; its config is ``my.yaml``.
    undisturbed
        The same project, trained without a cluster.
    """

    def __init__(self, folder: Path, undisturbed: Project | None = None):
        self.folder = folder
        self.undisturbed = undisturbed
        self.checkpoint = folder / MODEL / "model.ckpt"
        self.process: subprocess.Popen | None = None
        self.log = folder / "snakemake.log"

    def configure(self, **sections: dict) -> None:
        """Change settings of the config."""
        config = yaml.safe_load((self.folder / "my.yaml").read_text())
        for name, settings in sections.items():
            config[name] = config.get(name, {}) | settings
        (self.folder / "my.yaml").write_text(yaml.safe_dump(config))

    def run_here(self, *arguments) -> None:
        """Run Snakemake without a cluster."""
        done = run_snakemake(*map(str, arguments), cwd=self.folder)
        assert done.returncode == 0, done.stdout + done.stderr

    def command(self, *arguments) -> list[str]:
        """Snakemake as started from the repository for this folder."""
        command = [sys.executable, "-m", "tests.cluster.snakemake_in_a_hurry", "--profile", "slurm"]
        command += ["--configfile", str(self.folder / "my.yaml"), "--directory", str(self.folder)]
        return [*command, *HURRY, *map(str, arguments)]

    def start(self, *arguments, target=str(MODEL / "model.ckpt"), **environment) -> None:
        """Start ``snakemake --profile slurm`` for the training, and do not wait."""
        goals = [target] if target else []
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self.command(*goals, *arguments),
                cwd=ROOT,
                env=os.environ | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def finish(self, seconds: float = 300) -> int:
        """Wait for Snakemake; returns its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.messages()}\n{output('squeue', '--states=all')}") from None

    def kill(self) -> None:
        """Kill Snakemake itself, as a crash of the login node does."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def messages(self) -> str:
        """What Snakemake has said."""
        return self.log.read_text()

    def wait_until(self, condition, seconds: float = 120) -> None:
        """Wait for a condition while Snakemake runs."""

        def holds() -> bool:
            assert self.process.poll() is None, self.messages()
            return condition()

        wait_until(holds, seconds, "it did not happen")

    def pause(self, after: float = 0) -> None:
        """Wait for a checkpoint (newer than ``after``), then stop the training's processes.

        Whatever is done to the training is so done in the middle of it.
        """
        self.wait_until(lambda: self.checkpoint_time() > after)
        processes = self.training_processes()
        assert processes, "the training has ended before it could be paused"
        for process in processes:
            os.kill(process, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let a paused training go on."""
        for process in self.training_processes():
            os.kill(process, signal.SIGCONT)

    def training_processes(self) -> list[int]:
        """Processes of the training on the node."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().decode().split("\0")
                here = Path(os.readlink(entry / "cwd")) == self.folder
            except OSError:
                continue  # it has ended
            training = "seq2exp.training_process" in words or any(
                word.endswith(".train.py") for word in words[1:2]
            )
            if here and training and "python" in words[0]:
                found.append(int(entry.name))
        return found

    def checkpoint_time(self) -> float:
        """When the training last wrote something to resume from."""
        files = (self.folder / "results" / "demo" / ".training").glob("*/resume.ckpt")
        return max((file.stat().st_mtime for file in files), default=0)

    def checkpoint_step(self) -> int:
        """Step from which the training would go on."""
        (file,) = (self.folder / "results" / "demo" / ".training").glob("*/resume.ckpt")
        return torch.load(file, map_location="cpu", weights_only=True)["global_step"]

    def resumed(self) -> list[int]:
        """Step at which the last attempt went on, from its log; nothing if at the start.

        Snakemake deletes a log before the next attempt.
        """
        log = self.folder / "results/demo/logs/train/SimA/CAGE/seq2exp_soft/fold1_seed2.log"
        lines = [line for line in log.read_text().splitlines() if "resuming at step" in line]
        return [int(line.split("resuming at step ")[1].split()[0]) for line in lines]

    def same_as_undisturbed(self, within: float = 1e-6) -> None:
        """Assert that weights and figures are those of the undisturbed run."""
        ours, expected = (
            torch.load(project.checkpoint, map_location="cpu", weights_only=True)
            for project in (self, self.undisturbed)
        )
        torch.testing.assert_close(ours["weights"], expected["weights"], rtol=within, atol=within)
        figures, expected = self.metrics(), self.undisturbed.metrics()
        for split in ("valid", "test"):
            assert figures.pop(split) == pytest.approx(expected.pop(split), abs=within)
        assert figures == expected

    def metrics(self) -> dict:
        """Figures of the trained model, without the time it took."""
        metrics = json.loads((self.folder / MODEL / "metrics.json").read_text())
        del metrics["seconds"]
        return metrics
