"""DNase peaks that MACS3 calls, for cell lines with ``peaks: {macs3: ...}``."""

import shutil

MACS3 = "../envs/macs3.yaml"  # MACS3 has an environment of its own: it wants other numpy versions


# What cannot run is said before any job.
if CALLED_PEAKS and workflow.is_main_process:
    uncalled = [
        name for name in CALLED_PEAKS if not os.path.exists(f"{RESULTS}/peaks/{name}.narrowPeak")
    ]
    if (
        uncalled
        and not workflow.deployment_settings.deployment_method
        and not shutil.which("macs3")
    ):
        sys.exit(
            f"error: {origin}: cell_lines.{uncalled[0]}.peaks.macs3: no macs3 on the PATH; install "
            "it as envs/macs3.yaml says, add --software-deployment-method conda, or give a file"
        )


rule write_dnase_bedgraph:
    input:
        dnase=source_of("dnase"),
    output:
        temp(f"{RESULTS}/peaks/{{cell_line}}.bedGraph"),
    log:
        f"{LOGS}/write_dnase_bedgraph/{{cell_line}}.log",
    wildcard_constraints:
        cell_line=any_of(CALLED_PEAKS),
    conda:
        ENVIRONMENT
    resources:
        **on_cluster(),
        mem_mb=mem_mb,
        runtime=runtime,
    params:
        code=CODE,
    script:
        "../workflow_scripts/write_bedgraph.py"


rule call_peaks:
    input:
        rules.write_dnase_bedgraph.output,
    output:
        f"{RESULTS}/peaks/{{cell_line}}.narrowPeak",
    log:
        f"{LOGS}/call_peaks/{{cell_line}}.log",
    wildcard_constraints:
        cell_line=any_of(CALLED_PEAKS),
    conda:
        MACS3
    resources:
        **on_cluster(),
        mem_mb=mem_mb,
        runtime=runtime,
    params:
        lambda wildcards: CALLED_PEAKS[wildcards.cell_line],
    shell:
        "macs3 bdgpeakcall --ifile {input:q} --ofile {output:q} --no-trackline"
        " --cutoff {params[0][cutoff]} --min-length {params[0][min_length]}"
        " --max-gap {params[0][max_gap]} > {log:q} 2>&1"
