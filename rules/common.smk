"""Paths, wildcards and the matrix of runs: what all rules share."""

from seq2exp.jobs import share_package
from seq2exp.matrix import RUN_FOLDER, Matrix

share_package(workflow.basedir)

CODE = seq2exp.__version__  # a parameter of the rules: a new version of the package reruns them

# ------------------------------------------------------------------------------- the matrix

MODELS = CONFIG.models
MASK_MODELS = [name for name, model in MODELS.items() if model.has_mask]
OTHER_MODELS = [name for name in MODELS if name not in MASK_MODELS]
DEVICE = {"auto": None, "cpu": "cpu", "gpu": "cuda"}[CONFIG.training.accelerator]
MATRIX = Matrix.of(CONFIG)
RUNS = [run._asdict() for run in MATRIX.cells()]


def any_of(names):
    """Regular expression of exactly these names (one that matches nothing if there are none)."""
    return "|".join(names) or "(?!)"


wildcard_constraints:
    cell_line=any_of(CONFIG.cell_lines),
    assay=any_of(CONFIG.assays),
    model=any_of(MODELS),
    fold=r"\d+",
    seed=r"\d+",


# ------------------------------------------------------------------------------- paths

RESULTS = CONFIG.results.rstrip("/")
REFERENCE = f"{RESULTS}/reference/{CONFIG.genome.name}"
STORE = f"{RESULTS}/windows/{{cell_line}}"
RUN = RUN_FOLDER
MODEL = f"{RESULTS}/models/{RUN}"
PREDICTION = f"{RESULTS}/predictions/{RUN}"
REGIONS = f"{RESULTS}/regions/{RUN}"
EVALUATION = f"{RESULTS}/evaluation/{RUN}"
PAPER = f"{RESULTS}/paper"
FIGURES = f"{RESULTS}/figures/{RUN}"
EVIDENCE = f"{RESULTS}/evidence/{RUN}"
# Of all folds and seeds of a model, and of all its cell lines.
MODEL_EVIDENCE = f"{RESULTS}/evidence/{{cell_line}}/{{assay}}/{{model}}"
MODEL_FIGURES = f"{RESULTS}/figures/{{cell_line}}/{{assay}}/{{model}}"
SPECIFICITY = f"{RESULTS}/evidence/specificity/{{assay}}/{{model}}/fold{{fold}}_seed{{seed}}"
DIFFERENCES = f"{RESULTS}/evidence/differences.tsv"
LOGS = f"{RESULTS}/logs"
BENCHMARKS = f"{RESULTS}/benchmarks"
ENVIRONMENT = "../envs/seq2exp.yaml"  # used with --software-deployment-method conda


def teacher(wildcards):
    """The trained model whose mask a model takes (``mask_from``), of the same run; most have none."""
    source = getattr(MODELS[wildcards.model], "mask_from", None)
    return f"{MODEL}/model.ckpt".format(**{**wildcards, "model": source}) if source else []


# ------------------------------------------------------------------------------- figures

LOCI = range(1, CONFIG.evaluation.loci + 1)
MODEL_LABELS = {"assay": "{assay}", "model": "{model}"}
LABELS = MODEL_LABELS | {"run": "fold {fold}, seed {seed}"}


def title(wildcards):
    """What was trained on what, above every picture of a run."""
    return "{w.model}, {w.cell_line} {w.assay}, fold {w.fold}, seed {w.seed}".format(w=wildcards)


def model_title(wildcards):
    """The same, above a picture of all folds and seeds of a model."""
    return "{w.model}, {w.cell_line} {w.assay}".format(w=wildcards)


def transform(wildcards):
    """Scale of a run's labels."""
    return CONFIG.cell_lines[wildcards.cell_line].expression[wildcards.assay].transform


def files_of(run):
    """What is made of one run: pictures, and of a model with masks its regions."""
    figures = ["predicted_vs_observed", "training_curves"]
    regions = []
    if run["model"] in MASK_MODELS:
        figures += ["mask_against_distance", *(f"locus_{i}" for i in LOCI)]
        regions = ["elements.bed.gz", "elements.narrowPeak", "mask.bw", "element_scores.tsv"]
        parts = MODELS[run["model"]].mask_parts
        regions += [
            f"elements.{part}.bed.gz" for part in CONFIG.regions.other_tracks if part in parts
        ]
    files = [f"{FIGURES}/{name}.png" for name in figures] + [f"{REGIONS}/{x}" for x in regions]
    return [file.format(**run) for file in files]


# ------------------------------------------------------------------------------- all runs


def of_runs(path, runs):
    """The file of every run."""
    return [path.format(**run._asdict()) for run in runs]


def paper_report(path, name, caption):
    """A file of the paper, marked for the report."""
    labels = {"paper": name.replace("_", " ")}
    return report(f"{PAPER}/{path}", category="Paper", labels=labels, caption=caption)
