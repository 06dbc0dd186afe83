"""From the files that the config names to the inputs of rules."""

from pathlib import Path

from seq2exp.sources import plan_sources

# SOURCES: key of the config -> path of its file: itself where local, or its fetched copy
# FETCHED: name of a fetched copy -> what it is
SOURCES, FETCHED = plan_sources(CONFIG)


def source(key):
    """Path of the file behind a key of the config; no file where the key is left out."""
    return SOURCES.get(key, [])


def source_of(key):
    """Input function: the file behind a key of the wildcards' cell line."""
    return lambda wildcards: source(f"cell_lines.{wildcards.cell_line}.{key}")


def labels_of(wildcards):
    """Labels of a cell line: the settings of each assay, with paths in place of sources."""
    labels = {}
    for assay in CONFIG.assays:
        label = CONFIG.cell_lines[wildcards.cell_line].expression[assay]
        key = f"cell_lines.{wildcards.cell_line}.expression.{assay}"
        labels[assay] = label.model_dump(exclude={"bigwig", "table"}, exclude_none=True)
        if label.table:
            labels[assay]["table"] = Path(source(f"{key}.table"))
        else:
            tracks = range(len(label.bigwig))
            labels[assay]["bigwigs"] = tuple(Path(source(f"{key}.bigwig.{i}")) for i in tracks)
    return labels


def label_files(wildcards):
    """Every file behind the labels of a cell line."""
    labels = labels_of(wildcards).values()
    return [f for label in labels for f in (*label.get("bigwigs", ()), label.get("table")) if f]


def hic_settings(wildcards):
    """How to read a cell line's contact map; nothing without one."""
    hic = CONFIG.cell_lines[wildcards.cell_line].hic
    keys = {"resolution", "normalization", "missing_normalization", "missing_chromosome"}
    return hic and hic.model_dump(include=keys)


# Of a simulated genome: its planted truth, and each planted element with its scores in one run.
TRUTH = [
    source(f"evaluation.truth.{name}")
    for name in ("elements", "pairs", "expression")
    if CONFIG.evaluation.truth
]
PLANTED_ELEMENTS = {"elements": f"{EVALUATION}/planted_elements.tsv"} if TRUTH else {}
