"""What Lightning needs to know: one training step, validation over a split, history, resume."""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, Checkpoint
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from seq2exp.augment import apply_views, draw_views
from seq2exp.batching import Share
from seq2exp.metrics import accuracy
from seq2exp.models.interface import ExpressionModel
from seq2exp.packing import Batch, PackedBatch, unpack
from seq2exp.recipe import learning_rate
from seq2exp.stopping import StopSignals
from seq2exp.training_config import AugmentConfig, TrainingConfig

log = logging.getLogger(__name__)
progress_log = logging.getLogger("seq2exp.progress")

TRAIN_METRICS = ("train_loss", "train_kl")
CHOICE = "choice"
"""Metric whose lowest value decides which weights are kept."""


class ExpressionTask(L.LightningModule):
    """A model in training, and its validation metrics.

    Parameters
    ----------
    model
        Any model of the registry.
    training
        The recipe.
    label_scale
        Standard deviation by which the loss divides labels; 1 where they are not standardised.
    seed
        Masks and views of step s are drawn from (seed, s) for each position in the batch, so that
        a resumed run draws the same, whatever the number of processes and passes.
    contact_bin, has_peaks
        Of the window store: bp per Hi-C bin, and whether it knows the peaks.
    share
        What this process computes of each batch.
    validation_genes
        Of all processes together; this one's are `seq2exp.batching.share_batches`.
    """

    def __init__(
        self,
        model: ExpressionModel,
        training: TrainingConfig,
        *,
        label_scale: float,
        seed: int,
        contact_bin: int,
        has_peaks: bool = False,
        share: Share,
        validation_genes: int,
    ) -> None:
        super().__init__()
        self.model, self.training_config = model, training
        self.label_scale = label_scale
        self.seed, self.contact_bin, self.has_peaks = seed, contact_bin, has_peaks
        self.share, self.validation_genes = share, validation_genes
        self._validated: list[tuple[Tensor, ...]] = []

    def training_step(self, packed: PackedBatch, batch_idx: int) -> Tensor:
        windows = len(packed.label) * self.share.processes * self.share.passes
        own = self.share.positions(windows, batch_idx)
        step = np.random.SeedSequence([self.seed, self.global_step])
        seeds = step.generate_state(windows, np.uint64)[own].tolist()
        batch = self.unpacked(self.augmented(packed, windows, own))
        self.model.progress = self.global_step / self.training_config.steps
        output = self.model(batch._replace(seeds=tuple(seeds)))
        loss = self.model.loss(output, batch.label, label_scale=self.label_scale)
        self.log_dict(
            {"train_loss": loss.total.detach(), "train_kl": loss.kl.detach()},
            batch_size=len(batch.label),
            sync_dist=self.share.processes > 1,
        )
        return loss.total

    def unpacked(self, packed: PackedBatch) -> Batch:
        """Expand windows as the model reads them."""
        return unpack(packed, contact_bin=self.contact_bin, has_peaks=self.has_peaks)

    def augmented(self, packed: PackedBatch, windows: int, own: slice) -> PackedBatch:
        """Windows as this step sees them; ``own`` of the batch's ``windows``."""
        augment = self.training_config.augment
        if augment == AugmentConfig():
            return packed
        views = draw_views(windows, augment, seed=self.seed, step=self.global_step)
        return apply_views(packed, views.part(own), augment, contact_bin=self.contact_bin)

    def validation_step(self, packed: PackedBatch, batch_idx: int) -> None:
        batch = self.unpacked(packed)
        output = self.model(batch)
        mask_ratio = (
            torch.full_like(output.prediction, torch.nan)
            if output.mask is None
            else output.mask.mean(dim=1)
        )
        loss = self.model.loss(output, batch.label, label_scale=self.label_scale).total
        figures = (batch.label, output.prediction, mask_ratio, loss.expand_as(output.prediction))
        self._validated.append(figures)

    def on_validation_epoch_end(self) -> None:
        own = torch.stack([torch.cat(part) for part in zip(*self._validated, strict=True)])
        self._validated.clear()
        label, prediction, mask_ratio, loss = self.of_all_processes(own)
        figures = accuracy(label.double().cpu(), prediction.double().cpu())
        done = self.global_step / self.training_config.steps
        settled = done >= self.model.settled_from
        self.log_dict(
            {
                CHOICE: figures.mse if settled else math.inf,
                "valid_loss": loss.mean(),
                "valid_mse": figures.mse,
                "valid_mae": figures.mae,
                "valid_pearson": figures.pearson,
                "valid_mask_ratio": mask_ratio.mean(),
            },
            sync_dist=self.share.processes > 1,  # they are the same, which Lightning cannot know
        )

    def of_all_processes(self, own: Tensor) -> Tensor:
        """Put together figures of validation genes: (figures, own genes) to (figures, genes)."""
        processes, genes = self.share.processes, self.validation_genes
        if processes == 1:
            return own
        # Process r has genes r, r + processes, ...: some have one gene less than the others.
        rows = -(-genes // processes)
        padded = torch.nn.functional.pad(own, (0, rows - own.shape[1]))
        gathered = [torch.empty_like(padded) for _ in range(processes)]
        torch.distributed.all_gather(gathered, padded)
        return torch.stack(gathered, dim=-1).flatten(1)[:, :genes]  # of (figures, rows, processes)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Count passes as this run divides its batches, which the saved one may not have done."""
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        passes = checkpoint["global_step"] * self.share.passes
        for counts in (progress["total"], progress["current"]):
            difference = passes - counts["ready"]
            counts.update({name: count + difference for name, count in counts.items()})

    def configure_optimizers(self) -> Any:
        recipe = self.training_config
        optimizer = AdamW(
            [weight for weight in self.model.parameters() if weight.requires_grad],
            lr=recipe.learning_rate,
            betas=recipe.betas,
            weight_decay=recipe.weight_decay,
        )
        schedule = LambdaLR(
            optimizer, lambda step: learning_rate(step, recipe) / recipe.learning_rate
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


class History(Callback):
    """One row per validation; travels in the resumable checkpoint."""

    def __init__(self, training: TrainingConfig) -> None:
        self.training = training
        self.rows: list[dict[str, float]] = []
        self._steps: dict[str, list[Tensor | float]] = {name: [] for name in TRAIN_METRICS}
        self._passes: dict[str, list[Tensor]] = {name: [] for name in TRAIN_METRICS}
        self._seconds, self._since = 0.0, time.monotonic()

    def seconds(self) -> float:
        """Seconds spent on this run, earlier parts included."""
        return self._seconds + time.monotonic() - self._since

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._since = time.monotonic()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object
    ) -> None:
        for name, passes in self._passes.items():
            passes.append(trainer.callback_metrics[name])
            if len(passes) == self.training.accumulate:
                self._steps[name].append(torch.stack(passes).mean())  # no number: it would wait
                passes.clear()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        means = {name: float(np.mean(_numbers(values))) for name, values in self._steps.items()}
        self.rows.append(
            {
                "step": trainer.global_step,
                "learning_rate": learning_rate(trainer.global_step, self.training),
                **means,
                **{name: value for name, value in metrics.items() if name.startswith("valid_")},
                "seconds": self.seconds(),
            }
        )
        for values in self._steps.values():
            values.clear()
        progress_log.info(
            "step %d: validation MSE %.4f, Pearson %.3f",
            trainer.global_step,
            metrics["valid_mse"],
            metrics["valid_pearson"],
        )

    def state_dict(self) -> dict[str, Any]:
        steps = {name: _numbers(values) for name, values in self._steps.items()}
        return {"rows": self.rows, "steps": steps, "seconds": self.seconds()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])
        self._steps = {name: list(values) for name, values in state_dict["steps"].items()}
        self._seconds = state_dict["seconds"]


def _numbers(values: list[Tensor | float]) -> list[float]:
    return [float(value) for value in values]


class ResumeCheckpoint(Checkpoint):
    """Save all of the training state at times, and whenever training is asked to stop.

    Every ``checkpoint_every`` steps, after each validation, and one step before it: a run resumed
    at the step of a validation itself would skip that validation. Asked to stop there, training
    goes on from the step before.

    Lightning runs checkpoint callbacks last and in their order: given after the one that keeps the
    best weights, this one saves what that one knows.
    """

    def __init__(
        self, path: Path, training: TrainingConfig, validate_every: int, signals: StopSignals
    ) -> None:
        self.path, self.training, self.signals = path, training, signals
        self.validate_every = validate_every
        self._saved = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._saved = trainer.global_step
        self.signals.listen()  # Lightning has put its own handlers in place

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if (batch_idx + 1) % self.training.accumulate:
            return  # within a step
        step = trainer.global_step
        stop = self.asked_to_stop(trainer)
        due = step % self.training.checkpoint_every == 0 or (step + 1) % self.validate_every == 0
        if (due or stop) and step % self.validate_every:
            self.save(trainer)
        if stop:
            raise self.signals.stopped(self._saved, self.training.steps)

    def on_validation_batch_end(self, trainer: L.Trainer, *_: object, **__: object) -> None:
        if self.signals.requested:  # the step before is on disk: the others need not be asked
            raise self.signals.stopped(self._saved, self.training.steps)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.save(trainer)

    def asked_to_stop(self, trainer: L.Trainer) -> bool:
        """Whether any process has got a signal; all then save and stop at the same step."""
        asked = self.signals.requested is not None
        return bool(trainer.strategy.reduce_boolean_decision(asked, all=False))

    def save(self, trainer: L.Trainer) -> None:
        """Write the checkpoint, whole or not at all (Lightning writes aside and renames)."""
        trainer.save_checkpoint(self.path)
        self._saved = trainer.global_step


class ProgressLines(Callback):
    """A line with windows per second and the time left, every ``interval`` seconds."""

    def __init__(self, training: TrainingConfig, interval: float = 15.0) -> None:
        self.training, self.interval = training, interval

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._first_step, self._started = trainer.global_step, time.monotonic()
        self._last, self._windows = self._started, 0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, *_: object
    ) -> None:
        self._windows += len(batch.label) * self.training.processes
        now, step, total = time.monotonic(), trainer.global_step, self.training.steps
        if now - self._last < self.interval or step == self._first_step:
            return
        self._last, elapsed = now, now - self._started
        left = elapsed / (step - self._first_step) * (total - step)
        progress_log.info(
            "step %d/%d (%.0f%%), %.1f windows/s, loss %.4f, %d:%02d left",
            step,
            total,
            100 * step / total,
            self._windows / elapsed,
            float(trainer.callback_metrics["train_loss"]),
            *divmod(round(left), 60),
        )
