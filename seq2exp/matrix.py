"""The matrix of runs: every cell line x assay x model x fold x seed of a config."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple, Self

from pydantic import Field

from seq2exp.config import Config
from seq2exp.config_types import Strict
from seq2exp.model_config import ModelConfig
from seq2exp.paper_config import AblationConfig

RUN_FOLDER = "{cell_line}/{assay}/{model}/fold{fold}_seed{seed}"
"""Where the files of one run lie below ``models/``, ``predictions/``, ``evaluation/``, ..."""


class Cell(NamedTuple):
    """One run of the matrix."""

    cell_line: str
    assay: str
    model: str
    fold: int
    seed: int

    @property
    def folder(self) -> str:
        """Path of the run below ``models/`` and its like."""
        return RUN_FOLDER.format(**self._asdict())


class Matrix(Strict):
    """What tables and figures over all runs need to know of a config; plain values in JSON."""

    cell_lines: tuple[str, ...]
    assays: tuple[str, ...]
    models: dict[str, ModelConfig]
    main_models: tuple[str, ...]
    """All but the variants of ablations."""
    ablations: dict[str, AblationConfig]
    folds: tuple[int, ...]
    seeds: tuple[int, ...]
    window_length: int
    """bp of the stored window."""
    promoter_length: int
    views: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Test-time ablations (``evaluation.views``): what each changes."""

    @classmethod
    def of(cls, config: Config) -> Self:
        """Take it from a config."""
        return cls(
            cell_lines=tuple(config.cell_lines),
            assays=config.assays,
            models=config.models,
            main_models=tuple(config.main_models()),
            ablations=config.ablations,
            folds=config.folds.run,
            seeds=config.seeds,
            window_length=config.window.length,
            promoter_length=config.window.promoter_length,
            views={
                name: view.model_dump(mode="json", exclude_none=True)
                for name, view in config.evaluation.views.items()
            },
        )

    def viewed(self) -> list[Cell]:
        """Runs whose views are tabulated: those of the models that are no variants."""
        return [cell for cell in self.cells() if self.views and cell.model in self.main_models]

    def example(self) -> Cell | None:
        """The run whose loci are shown: the first of the first model with a mask."""
        return next((cell for cell in self.cells() if self.models[cell.model].has_mask), None)

    def cells(self) -> list[Cell]:
        """Every run, in the order of the config."""
        axes = (self.cell_lines, self.assays, self.models, self.folds, self.seeds)
        return [Cell(*values) for values in product(*axes)]
