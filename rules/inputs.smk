"""From the files that the config names to the inputs of rules."""

from seq2exp import inputs
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
    return inputs.label_settings(CONFIG, SOURCES, wildcards.cell_line)


def label_files(wildcards):
    """Every file behind the labels of a cell line."""
    return inputs.label_files(labels_of(wildcards))


def hic_settings(wildcards):
    """How to read a cell line's contact map; nothing without one."""
    return inputs.hic_settings(CONFIG, wildcards.cell_line)


CALLED_PEAKS = inputs.called_peaks(CONFIG)  # cell line -> settings of MACS3


def peaks_of(wildcards):
    """Peaks of a cell line: the file of the config, or what MACS3 calls; no file without any."""
    return inputs.peaks_file(CONFIG, SOURCES, wildcards.cell_line) or []


# Of a simulated genome: its planted truth, and each planted element with its scores in one run.
TRUTH = [
    source(f"evaluation.truth.{name}")
    for name in ("elements", "pairs", "expression")
    if CONFIG.evaluation.truth
]
PLANTED_ELEMENTS = {"elements": f"{EVALUATION}/planted_elements.tsv"} if TRUTH else {}
