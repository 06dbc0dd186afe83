# Seq2Exp: gene expression, and the regulatory elements behind it, from DNA and epigenomic signals.
#
#   snakemake --cores all                               # config.yaml
#   snakemake --cores all --configfile my_config.yaml   # my_config.yaml instead of config.yaml
#   snakemake --profile slurm                           # on a Slurm cluster
#   snakemake --cores 1 sources                         # only fetch every file that the config names
#   snakemake --cores all paper                         # tables and figures over all runs
#
# Every setting is described in config.yaml.
import os
import sys

import seq2exp
from seq2exp.cli import check_files
from seq2exp.config import parse_config
from seq2exp.errors import UserError
from snakemake.utils import min_version

min_version("9.8")

# A config file given on the command line replaces config.yaml. (Loading config.yaml all the same
# would merge the two: a cell line or a model of config.yaml could not be left out.)
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


origin = ", ".join(map(os.path.relpath, workflow.configfiles))
try:
    CONFIG = parse_config(config, origin)
    if workflow.is_main_process:
        check_files(config, origin)
except UserError as error:
    sys.exit(f"error: {error}")


report: "report/workflow.rst"


PINNED = set()  # entries of the lock file when the workflow started


# Files that are there already, perhaps placed by hand: no job makes them, so no job checks them.
onstart:
    from seq2exp.downloads.all_files import pinned, verify_files
    from seq2exp.slurm import refuse_leftover_jobs, require_nodes

    try:
        PINNED.update(pinned(CONFIG))
        verify_files(CONFIG)
        if workflow.non_local_exec:
            refuse_leftover_jobs(os.getcwd())
        else:
            require_nodes(CONFIG.training)
    except UserError as error:
        sys.exit(f"error: {error}")
    # A training longer than the cluster's walltime goes on in the next attempt.
    if workflow.non_local_exec:
        workflow.get_rule("train").restart_times = (
            workflow.execution_settings.retries + TRAINING_PIECES - 1
        )


# What jobs have pinned is in their logs only.
onsuccess:
    from seq2exp.downloads.all_files import newly_pinned

    if news := newly_pinned(CONFIG, PINNED):
        print(news, file=sys.stderr)


include: "rules/common.smk"
include: "rules/resources.smk"
include: "rules/inputs.smk"
include: "rules/sources.smk"
include: "rules/reference.smk"
include: "rules/peaks.smk"
include: "rules/check.smk"
include: "rules/windows.smk"
include: "rules/train.smk"
include: "rules/predict.smk"
include: "rules/regions.smk"
include: "rules/effects.smk"
include: "rules/evidence.smk"
include: "rules/evaluate.smk"
include: "rules/views.smk"
include: "rules/figures.smk"
include: "rules/browser.smk"
include: "rules/paper.smk"


rule all:
    default_target: True
    input:
        rules.check_all.output,
        f"{RESULTS}/summary.json",
        f"{RESULTS}/summary.tsv",
        SUMMARY_OF_VIEWS,
        [files_of(run) for run in RUNS],
        evidence_files(),
        browser_files(),


rule paper:
    input:
        rules.build_paper.output,
    localrule: True


rule sources:
    input:
        [f"{RESULTS}/sources/{file}" for file in FETCHED],
    localrule: True
