"""Masks and regions against independent evidence, and against each other.

CRISPRi screens and reference regions where the config has any; agreement of runs and specificity of
cell lines where there is more than one.
"""

# ------------------------------------------------------------------------------- CRISPRi


rule crispri_baselines:
    input:
        crispri=source_of("crispri"),
        predictions=prediction_files,
        h3k27ac=source_of("h3k27ac"),
        dnase=source_of("dnase"),
        hic=source_of("hic"),
        blacklist=source("genome.blacklist"),
        chrom_sizes=rules.prepare_genome.output.chrom_sizes,
    output:
        table=f"{RESULTS}/evidence/{{cell_line}}/crispri_baselines.tsv",
    log:
        f"{LOGS}/crispri_baselines/{{cell_line}}.log",
    benchmark:
        f"{BENCHMARKS}/crispri_baselines/{{cell_line}}.tsv"
    wildcard_constraints:
        cell_line=any_of(CRISPRI),
    conda:
        ENVIRONMENT
    resources:
        **on_cluster(),
        mem_mb=mem_mb,
        runtime=runtime,
    params:
        code=CODE,
        cell_type=cell_type,
        missing=CONFIG.window.missing_chromosome,
        hic=hic_settings,
        power_law=CONFIG.power_law.model_dump(mode="json"),
        predictions=lambda wildcards: {
            name: source.columns.model_dump()
            for name, source in CONFIG.cell_lines[wildcards.cell_line].predictions.items()
        },
    script:
        "../workflow_scripts/crispri_baselines.py"


rule score_crispri:
    input:
        baselines=rules.crispri_baselines.output.table,
        masks=rules.predict.output.masks,
        store=STORE,
        predictions=rules.predict.output.table,
        regions=rules.export_regions.output.bed,
    output:
        pairs=f"{EVIDENCE}/crispri_pairs.tsv",
        performance=f"{EVIDENCE}/crispri.tsv",
        figures=f"{EVIDENCE}/crispri.json",
    log:
        f"{LOGS}/score_crispri/{RUN}.log",
    group:
        "figures"
    conda:
        ENVIRONMENT
    resources:
        **on_cluster(),
        mem_mb=mem_mb,
        runtime=plot_runtime,
        slots=1,
    params:
        code=CODE,
    script:
        "../workflow_scripts/score_crispri.py"


rule pool_crispri:
    input:
        pairs=of_mask_runs(f"{EVIDENCE}/crispri_pairs.tsv"),
    output:
        performance=report(
            f"{MODEL_EVIDENCE}/crispri.tsv",
            caption="../report/crispri_table.rst",
            category="{cell_line}",
            subcategory="Evidence",
            labels=MODEL_LABELS,
        ),
        curves=f"{MODEL_EVIDENCE}/crispri_curves.tsv",
    log:
        f"{LOGS}/pool_crispri/{{cell_line}}/{{assay}}/{{model}}.log",
    conda:
        ENVIRONMENT
    resources:
        **on_cluster(),
        mem_mb=mem_mb,
        runtime=plot_runtime,
    params:
        code=CODE,
    script:
        "../workflow_scripts/pool_crispri.py"


# ------------------------------------------------------------------------------- references


rule score_references:
    input:
        elements=rules.export_regions.output.bed,
        masks=rules.predict.output.masks,
        store=STORE,
        predictions=rules.predict.output.table,
        references=reference_files,
        peaks=peaks_of,
    output:
        enrichment=report(
            f"{EVIDENCE}/enrichment.tsv",
            caption="../report/enrichment_table.rst",
            category="{cell_line}",
            subcategory="Evidence",
            labels=LABELS,
        ),
        equal=f"{EVIDENCE}/equal_bases.tsv",
        figures=f"{EVIDENCE}/enrichment.json",
    log:
        f"{LOGS}/score_references/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/score_references/{RUN}.tsv"
    group:
        "figures"
    conda:
        ENVIRONMENT
    resources:
        **on_cluster(),
        mem_mb=evidence_mem_mb,
        runtime=store_runtime,
        slots=1,
    params:
        code=CODE,
        references=reference_settings,
    script:
        "../workflow_scripts/score_references.py"


# ------------------------------------------------------------------------------- motifs


rule score_motifs:
    input:
        elements=rules.export_regions.output.bed,
        masks=rules.predict.output.masks,
        store=STORE,
        predictions=rules.predict.output.table,
        motifs=MOTIFS,
    output:
        table=report(
            f"{EVIDENCE}/motifs.tsv",
            caption="../report/motifs_table.rst",
            category="{cell_line}",
            subcategory="Evidence",
            labels=LABELS,
        ),
    log:
        f"{LOGS}/score_motifs/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/score_motifs/{RUN}.tsv"
    group:
        "figures"
    conda:
        ENVIRONMENT
    resources:
        **on_cluster(),
        mem_mb=evidence_mem_mb,
        runtime=store_runtime,
        slots=1,
    params:
        code=CODE,
        max_regions=CONFIG.evaluation.motifs and CONFIG.evaluation.motifs.max_regions,
    script:
        "../workflow_scripts/score_motifs.py"


# ------------------------------------------------------------------------------- runs


rule compare_runs:
    input:
        masks=of_mask_runs(f"{PREDICTION}/masks"),
        elements=of_mask_runs(f"{REGIONS}/elements.bed.gz"),
        stores=expand(STORE, cell_line=CONFIG.cell_lines),
    output:
        table=report(
            f"{RESULTS}/evidence/agreement/{{assay}}/{{model}}.tsv",
            caption="../report/agreement.rst",
            category="All runs",
            labels=MODEL_LABELS | {"table": "agreement of runs"},
        ),
    log:
        f"{LOGS}/compare_runs/{{assay}}/{{model}}.log",
    conda:
        ENVIRONMENT
    resources:
        **on_cluster(),
        mem_mb=evidence_mem_mb,
        runtime=evidence_runtime,
    params:
        code=CODE,
        cell_lines=list(CONFIG.cell_lines),
    script:
        "../workflow_scripts/compare_runs.py"


rule compare_cell_lines:
    input:
        masks=of_mask_runs(f"{PREDICTION}/masks"),
        elements=of_mask_runs(f"{REGIONS}/elements.bed.gz"),
        stores=expand(STORE, cell_line=CONFIG.cell_lines),
    output:
        elements=f"{SPECIFICITY}.tsv",
        summary=report(
            f"{SPECIFICITY}_summary.tsv",
            caption="../report/specificity.rst",
            category="All runs",
            labels=LABELS | {"table": "cell-type specificity"},
        ),
    log:
        f"{LOGS}/compare_cell_lines/{{assay}}/{{model}}/fold{{fold}}_seed{{seed}}.log",
    conda:
        ENVIRONMENT
    resources:
        **on_cluster(),
        mem_mb=evidence_mem_mb,
        runtime=evidence_runtime,
    params:
        code=CODE,
        cell_lines=list(CONFIG.cell_lines),
    script:
        "../workflow_scripts/compare_cell_lines.py"


rule compare_expression:
    input:
        predictions=of_runs(f"{PREDICTION}/predictions.tsv", MATRIX.cells()),
    output:
        table=report(
            DIFFERENCES,
            caption="../report/differences.rst",
            category="All runs",
            labels={"table": "differences between cell lines"},
        ),
    log:
        f"{LOGS}/compare_expression.log",
    conda:
        ENVIRONMENT
    resources:
        **on_cluster(),
        mem_mb=evidence_mem_mb,
        runtime=evidence_runtime,
    params:
        code=CODE,
        runs=[list(run) for run in MATRIX.cells()],
        window_length=MATRIX.window_length,
    script:
        "../workflow_scripts/compare_expression.py"
