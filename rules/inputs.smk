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
PLANTED_ELEMENTS = {}
if TRUTH:
    PLANTED_ELEMENTS = {
        "elements": f"{EVALUATION}/planted_elements.tsv",
        "ranking": report(
            f"{EVALUATION}/elements_auprc.tsv",
            caption="../report/elements_auprc.rst",
            category="{cell_line}",
            subcategory="Evidence",
            labels=LABELS,
        ),
    }


# ------------------------------------------------------------------------------- evidence

CRISPRI = {name: cell.crispri for name, cell in CONFIG.cell_lines.items() if cell.crispri}
MASK_RUNS = [run for run in RUNS if run["model"] in MASK_MODELS]


def references_of(cell_line):
    """Key and settings of each set of reference regions that a cell line is held against."""
    sets = [(f"cell_lines.{cell_line}.references", CONFIG.cell_lines[cell_line].references)]
    sets += [("evaluation.references", CONFIG.evaluation.references)]
    return {
        f"{key}.{name}": reference.model_dump(mode="json", include={"column", "values"})
        for key, references in sets
        for name, reference in references.items()
    }


def reference_settings(wildcards):
    """Name and settings of these reference regions."""
    references = references_of(wildcards.cell_line)
    return {key.rsplit(".", 1)[-1]: settings for key, settings in references.items()}


def reference_files(wildcards):
    """Files of these reference regions, in the same order."""
    return [source(key) for key in references_of(wildcards.cell_line)]


def cell_type(wildcards):
    """Name of a cell line in its CRISPRi table."""
    given = CRISPRI.get(wildcards.cell_line)
    return (given and given.cell_type) or wildcards.cell_line


def prediction_files(wildcards):
    """Files of other methods' element-gene scores."""
    cell_line = wildcards.cell_line
    names = CONFIG.cell_lines[cell_line].predictions
    return [source(f"cell_lines.{cell_line}.predictions.{name}") for name in names]


def has_references(cell_line):
    """Whether there are any, peaks included."""
    return bool(references_of(cell_line) or CONFIG.cell_lines[cell_line].peaks)


MOTIFS = source("evaluation.motifs")  # none: []


def evidence_of(run):
    """Figures (JSON) of one run against what there is for its cell line."""
    names = ["crispri"] * (run["cell_line"] in CRISPRI)
    names += ["enrichment"] * has_references(run["cell_line"])
    return [f"{EVIDENCE}/{name}.json".format(**run) for name in names]


def evidence_files():
    """Everything that rules/evidence.smk makes, and its pictures."""
    files = [DIFFERENCES] if len(CONFIG.cell_lines) > 1 else []
    files += [file for run in MASK_RUNS for file in evidence_of(run)]
    for run in MASK_RUNS:
        if run["cell_line"] in CRISPRI:
            files += [f"{MODEL_FIGURES}/crispri.png".format(**run)]
        if has_references(run["cell_line"]):
            files += [f"{FIGURES}/enrichment.png".format(**run)]
        if MOTIFS:
            files += [f"{FIGURES}/motifs.png".format(**run)]
        if len(MASK_RUNS) > len(MASK_MODELS) * len(CONFIG.assays):
            files += [f"{RESULTS}/evidence/agreement/{{assay}}/{{model}}.tsv".format(**run)]
        if len(CONFIG.cell_lines) > 1:
            files += [f"{SPECIFICITY}_summary.tsv".format(**run)]
    return list(dict.fromkeys(files))


def of_mask_runs(path):
    """Input function: a file of every run that shares the wildcards."""

    def files(wildcards):
        shared = dict(wildcards.items())
        runs = [
            run
            for run in MASK_RUNS
            if shared.items() <= {key: str(value) for key, value in run.items()}.items()
        ]
        return [path.format(**run) for run in runs]

    return files


# ------------------------------------------------------------------------------- browsers

PARTS = {name: MODELS[name].mask_parts if CONFIG.browser.parts else () for name in MASK_MODELS}
HUB = f"{RESULTS}/hub"
HUB_RUNS = MASK_RUNS if CONFIG.browser.hub else []
IGV_PAGE = f"{FIGURES}/loci.html"


def browser_files_of(run):
    """What is made of one run for browsers."""
    names = [f"{REGIONS}/{part}.bw" for part in PARTS[run["model"]]]
    names += [f"{REGIONS}/elements.bb", f"{REGIONS}/links.bb"]
    names += [IGV_PAGE] * bool(CONFIG.browser.igv_loci)
    return [name.format(**run) for name in names]


def browser_files():
    """Everything that is made for browsers."""
    files = [file for run in MASK_RUNS for file in browser_files_of(run)]
    return files + [HUB] * bool(HUB_RUNS)
