"""The whole of config.yaml as strict, frozen models: the one source of defaults and checks.

Nothing here opens a file; see :mod:`seq2exp.preflight` for what is checked against the disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    model_validator,
)

from seq2exp.browser_config import BrowserConfig
from seq2exp.cell_line_config import CellLineConfig
from seq2exp.cluster_config import ClusterConfig
from seq2exp.config_messages import first_problem
from seq2exp.config_types import Fraction, Name, NonNegativeInt, PositiveInt, Strict
from seq2exp.errors import UserError
from seq2exp.evaluation_config import EvaluationConfig, PredictionConfig, RegionsConfig
from seq2exp.model_config import (
    ModelConfig,
    NetworkConfig,
    Seq2ExpRetrainConfig,
    Seq2ExpSoftConfig,
)
from seq2exp.paper_config import AblationConfig, as_written, check_ablations, with_variants
from seq2exp.source_config import Source
from seq2exp.training_config import TrainingConfig

Chromosome = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$")]


class PowerLaw(Strict):
    """Contacts where a cell line has no Hi-C: contact(d) = at_bin * (max(d, bin) / bin) ** -gamma.

    ``gamma`` is the average of the ABC model (Fulco et al. 2019); ``at_bin`` sets the scale
    to that of a balanced 5 kb map near the diagonal.
    """

    gamma: Annotated[float, Field(gt=0)] = 1.024238616787792
    at_bin: Annotated[float, Field(gt=0)] = 100.0
    bin: PositiveInt = 5000


# --------------------------------------------------------------------------- genome


class FeaturesConfig(Strict):
    """The eight mRNA features (``schemas.MRNA_FEATURES``) from a table."""

    table: Source
    id_column: str = "gene_id"


class GenomeConfig(Strict):
    """The reference: sequence, genes, excluded regions."""

    name: Name
    fasta: Source
    annotation: Source | None = None
    """GENCODE-style GTF: TSS per gene and the eight mRNA features."""
    genes: Source | None = None
    """Instead of an annotation: a table with chrom, tss (0-based), strand, gene_id, gene_name."""
    features: FeaturesConfig | None = None
    """The mRNA features, instead of those that the annotation or the table of genes gives."""
    blacklist: Source | None = None
    chromosomes: Annotated[tuple[Chromosome, ...], Field(min_length=1)] | None = None
    """Chromosomes to use; every one in the FASTA when left out."""
    gene_types: tuple[str, ...] = ("protein_coding",)

    @model_validator(mode="after")
    def _one_gene_source(self) -> Self:
        if (self.annotation is None) == (self.genes is None):
            raise ValueError("give exactly one of annotation (GTF) or genes (table)")
        if self.chromosomes and len(set(self.chromosomes)) != len(self.chromosomes):
            raise ValueError("chromosomes: a name is listed twice")
        return self


class WindowConfig(Strict):
    """The TSS-centred window [tss - length/2, tss + length/2)."""

    length: PositiveInt = 200_000
    promoter_length: PositiveInt = 2_000
    missing_chromosome: Literal["error", "zeros"] = "error"
    """What to do where a track lacks the chromosome of a gene."""
    max_n_fraction: Fraction = 1.0
    """Genes with a larger share of N in ``n_fraction_span`` are dropped, and counted aloud."""
    n_fraction_span: PositiveInt | None = None
    """bp around the TSS over which N is counted; the window's length when left out."""

    @model_validator(mode="after")
    def _promoter_fits(self) -> Self:
        if self.length % 2 or self.promoter_length % 2:
            raise ValueError("length and promoter_length must be even: the TSS is the centre")
        if self.promoter_length > self.length:
            raise ValueError(
                f"promoter_length {self.promoter_length} is longer than the window "
                f"({self.length}); lengthen window.length"
            )
        return self


# --------------------------------------------------------------------------- folds


class FoldSets(Strict):
    """One fold by chromosomes or blocks: ``chr20`` or ``chr20:0-45000000`` (0-based half-open)."""

    train: tuple[str, ...] | None = None
    """Every gene outside valid and test when left out."""
    valid: Annotated[tuple[str, ...], Field(min_length=1)]
    test: Annotated[tuple[str, ...], Field(min_length=1)]


class FoldsConfig(Strict):
    """Which genes are held out: the paper's 12 folds of human chromosomes, or explicit sets."""

    scheme: Literal["paper", "explicit"] = "paper"
    sets: dict[PositiveInt, FoldSets] = Field(default_factory=dict)
    run: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (11,)

    @model_validator(mode="after")
    def _known_folds(self) -> Self:
        if (self.scheme == "explicit") != bool(self.sets):
            raise ValueError("sets goes with scheme: explicit (and only with it)")
        known = set(range(1, 13)) if self.scheme == "paper" else set(self.sets)
        unknown = sorted(set(self.run) - known)
        if unknown:
            raise ValueError(f"run: no fold {unknown[0]}; there are {sorted(known)}")
        return self


# --------------------------------------------------------------------------- how jobs run


class DownloadsConfig(Strict):
    """How files are fetched."""

    lock_file: str = "sources.lock.json"
    """Checksums of files when they were first used, relative to the working directory."""
    retries: NonNegativeInt = 10
    """Tries of one download in a row that bring nothing new before it fails."""


class ResourcesConfig(Strict):
    """Caps for cluster jobs; see rules/resources.smk for how they are estimated."""

    max_mem_mb: PositiveInt = 128_000
    max_runtime_min: PositiveInt = 2_880
    training_threads: PositiveInt = 4


class Config(Strict):
    """All of config.yaml."""

    results: str = "results"
    offline: bool = False
    """The workflow fetches nothing; what is missing is listed before any job."""
    downloads: DownloadsConfig = DownloadsConfig()
    genome: GenomeConfig
    window: WindowConfig = WindowConfig()
    power_law: PowerLaw = PowerLaw()
    cell_lines: Annotated[dict[Name, CellLineConfig], Field(min_length=1)]
    assays: Annotated[tuple[Name, ...], Field(min_length=1)] = ("CAGE",)
    folds: FoldsConfig = FoldsConfig()
    models: Annotated[dict[Name, ModelConfig], Field(min_length=1)]
    """Every model of the matrix: those of the section ``models``, then the ablations' variants."""
    ablations: dict[Name, AblationConfig] = Field(default_factory=dict)
    seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)] = (2, 22, 222, 2222, 22222)
    training: TrainingConfig = TrainingConfig()
    prediction: PredictionConfig = PredictionConfig()
    regions: RegionsConfig = RegionsConfig()
    browser: BrowserConfig = BrowserConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    resources: ResourcesConfig = ResourcesConfig()
    cluster: ClusterConfig = ClusterConfig()

    @model_validator(mode="before")
    @classmethod
    def _all_models(cls, raw: Any) -> Any:
        """Name the kind of ``seq2exp_soft: {}``, and add the variants of ablations to the models."""
        models = raw.get("models") if isinstance(raw, dict) else None
        if not isinstance(models, dict):
            return raw
        named = {
            name: {"kind": name, **(body or {})} if isinstance(body, dict | None) else body
            for name, body in models.items()
        }
        return {**raw, "models": with_variants(named, raw.get("ablations"))}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, cell_line in self.cell_lines.items():
            absent = [assay for assay in self.assays if assay not in cell_line.expression]
            if absent:
                raise ValueError(
                    f"cell_lines.{name}.expression has no {absent[0]}; add it or drop it from assays"
                )
        for name, model in self.models.items():
            length = self._length(model)
            if length > self.window.length or length % 2:
                raise ValueError(
                    f"models.{name}.window_length {length} must be even and at most window.length "
                    f"{self.window.length}"
                )
            reach = 2 * max(getattr(model, "spans", [0]))
            if reach > length:
                raise ValueError(
                    f"models.{name}.spans: +- {reach // 2} bp reach over the window ({length} bp); "
                    "drop the widest span or lengthen window.length"
                )
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds: a seed is listed twice")
        for name, view in self.evaluation.views.items():
            if view.window_length and view.window_length > self.window.length:
                raise ValueError(
                    f"evaluation.views.{name}.window_length {view.window_length} is longer than the "
                    f"stored window ({self.window.length}); shorten it"
                )
        return self

    @model_validator(mode="after")
    def _regions_can_be_called(self) -> Self:
        if self.regions.select == "fdr" and "test" not in self.prediction.mask_splits:
            raise ValueError(
                "regions.select fdr: false discoveries are counted on test genes; add test to "
                "prediction.mask_splits"
            )
        parts = {part for model in self.models.values() for part in model.mask_parts}
        for track in self.regions.other_tracks:
            if track not in parts:
                raise ValueError(
                    f"regions.other_tracks {track}: no model of the config has this part of a mask; "
                    "drop it"
                )
        return self

    @model_validator(mode="after")
    def _networks_can_read_their_windows(self) -> Self:
        for name, model in self.models.items():
            length = model.window_length or self.window.length
            if isinstance(model, NetworkConfig) and length < model.least_length:
                raise ValueError(
                    f"models.{name}: its window has {length} bp, but a {model.kind} of these "
                    f"settings reads {model.least_length} bp or more; lengthen it or drop the model"
                )
        return self

    @model_validator(mode="after")
    def _mask_ratios_can_be_held(self) -> Self:
        for name, model in self.models.items():
            length = self._length(model)
            promoter = min(self.window.promoter_length, length)
            ratio = getattr(model, "mask_ratio", None)
            if ratio is not None and ratio <= promoter / length:
                raise ValueError(
                    f"models.{name}.mask_ratio {ratio}: the promoter, which is always kept, is "
                    f"{promoter / length:.3f} of its window ({promoter} of {length} bp); set a higher "
                    "mask_ratio, or null"
                )
        return self

    @model_validator(mode="after")
    def _peaks_given(self) -> Self:
        needing = [name for name, model in self.models.items() if model.needs_peaks]
        lacking = [name for name, cell_line in self.cell_lines.items() if cell_line.peaks is None]
        if needing and lacking:
            raise ValueError(
                f"models.{needing[0]} needs DNase peaks, but cell_lines.{lacking[0]}.peaks is not "
                "given; add it (docs/add-a-cell-line.md says how peaks are called), or drop the "
                "model"
            )
        return self

    @model_validator(mode="after")
    def _predictions_of_a_screen(self) -> Self:
        for name, given in self.cell_lines.items():
            if given.predictions and given.crispri is None:
                raise ValueError(
                    f"cell_lines.{name}.predictions: nothing to hold them against; add "
                    f"cell_lines.{name}.crispri"
                )
        return self

    @model_validator(mode="after")
    def _references_named_once(self) -> Self:
        for cell_line, given in self.cell_lines.items():
            for name in given.references:
                if name in self.evaluation.references:
                    raise ValueError(
                        f"cell_lines.{cell_line}.references.{name}: evaluation.references has this "
                        "name too; rename one"
                    )
        return self

    @model_validator(mode="after")
    def _jitter_fits(self) -> Self:
        jitter, stored = self.training.augment.jitter, self.window.length
        if jitter and 2 * jitter >= self.window.promoter_length:
            raise ValueError(
                f"training.augment.jitter {jitter} moves the TSS out of the promoter; keep it below "
                f"{self.window.promoter_length // 2}, half of window.promoter_length"
            )
        for name, model in self.models.items():
            length = model.window_length or stored
            needed = length + 2 * jitter
            if not isinstance(model, NetworkConfig):
                continue
            if jitter and 2 * jitter >= length:
                raise ValueError(
                    f"training.augment.jitter {jitter} moves the TSS out of the window of "
                    f"models.{name} ({length} bp); keep it below {length // 2}"
                )
            if needed > stored:
                raise ValueError(
                    f"training.augment.jitter {jitter}: models.{name}.window_length {length} + 2 x "
                    f"{jitter} is more than the stored window.length {stored}; set window.length "
                    f"to {needed} and models.{name}.window_length to {length}, or lower jitter"
                )
        return self

    @model_validator(mode="after")
    def _ablations_tell_apart(self) -> Self:
        check_ablations(self.ablations, self.models, self.window.length)
        return self

    @model_validator(mode="after")
    def _masks_have_a_source(self) -> Self:
        for name, model in self.models.items():
            if isinstance(model, Seq2ExpRetrainConfig):
                self._check_mask_source(f"models.{name}", model)
        return self

    def _check_mask_source(self, key: str, model: Seq2ExpRetrainConfig) -> None:
        source = self.models.get(model.mask_from)
        if not isinstance(source, Seq2ExpSoftConfig):
            kind = "no such model" if source is None else f"of kind {source.kind}"
            raise ValueError(
                f"{key}.mask_from {model.mask_from}: {kind}; name a seq2exp_soft model"
            )
        if model.source is not None:
            raise ValueError(f"{key}.source: taken from the model in mask_from; remove it")
        if source.mask_region == "promoter":
            raise ValueError(
                f"{key}.mask_from {model.mask_from}: its mask is the promoter alone "
                "(mask_region: promoter); name another model"
            )
        length, stored = self._length(model), self._length(source)
        if length != stored:
            raise ValueError(
                f"{key}.window_length {length} differs from that of {model.mask_from} ({stored}), "
                "where its mask comes from; make them equal"
            )
        least = min(self.window.promoter_length, length) / length
        if model.fraction < least:
            raise ValueError(
                f"{key}.fraction {model.fraction}: the promoter alone is {least:g} of the window; "
                "raise fraction"
            )
        if model.placement == "shifted" and self.training.augment.reverse_complement:
            raise ValueError(
                f"{key}.placement shifted: with training.augment.reverse_complement a gene's mask "
                "would move in both directions; switch one of them off"
            )

    def _length(self, model: ModelConfig) -> int:
        return model.window_length or self.window.length

    def main_models(self) -> list[str]:
        """Names of the section ``models``: all but the variants of ablations."""
        variants = {name for group in self.ablations.values() for name in group.names()}
        return [name for name in self.models if name not in variants]

    def sources(self) -> Iterator[tuple[str, Source]]:
        """Every file of the config with its key, e.g. ``("cell_lines.K562.dnase", Source)``."""
        yield from _sources(self, "")


def _sources(node: Any, key: str) -> Iterator[tuple[str, Source]]:
    if isinstance(node, Source):
        yield key, node
    elif isinstance(node, BaseModel):
        for field in type(node).model_fields:
            yield from _sources(getattr(node, field), f"{key}.{field}" if key else field)
    elif isinstance(node, dict):
        for name, value in node.items():
            yield from _sources(value, f"{key}.{name}")
    elif isinstance(node, tuple):
        for position, value in enumerate(node):
            yield from _sources(value, f"{key}.{position}")


# --------------------------------------------------------------------------- loading


def parse_config(raw: dict[str, Any], origin: str = "config") -> Config:
    """Check a plain dictionary (YAML as loaded) and return the typed config.

    Raises
    ------
    UserError
        One line: the file, the key, the value and the remedy of the first problem.
    """
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        problem = as_written(first_problem(error), raw.get("ablations"))
        raise UserError(f"{origin}: {problem}") from None
