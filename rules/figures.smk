"""Pictures, drawn from tables only; PNG for the report, PDF for papers."""


rule plot_expression:
    input:
        predictions=rules.predict.output.table,
    output:
        png=report(
            f"{FIGURES}/predicted_vs_observed.png",
            caption="../report/predicted_vs_observed.rst",
            category="{cell_line}",
            subcategory="Accuracy",
            labels=LABELS,
        ),
        pdf=f"{FIGURES}/predicted_vs_observed.pdf",
    log:
        f"{LOGS}/plot_expression/{RUN}.log",
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
        title=title,
        transform=transform,
    script:
        "../workflow_scripts/plot_expression.py"


rule plot_training:
    input:
        history=rules.train.output.history,
        metrics=rules.train.output.metrics,
    output:
        png=report(
            f"{FIGURES}/training_curves.png",
            caption="../report/training_curves.rst",
            category="{cell_line}",
            subcategory="Training",
            labels=LABELS,
        ),
        pdf=f"{FIGURES}/training_curves.pdf",
    log:
        f"{LOGS}/plot_training/{RUN}.log",
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
        title=title,
    script:
        "../workflow_scripts/plot_training.py"


rule plot_distance:
    input:
        distance=rules.evaluate.output.distance,
    output:
        png=report(
            f"{FIGURES}/mask_against_distance.png",
            caption="../report/mask_against_distance.rst",
            category="{cell_line}",
            subcategory="Regions",
            labels=LABELS,
        ),
        pdf=f"{FIGURES}/mask_against_distance.pdf",
    log:
        f"{LOGS}/plot_distance/{RUN}.log",
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
        title=title,
    script:
        "../workflow_scripts/plot_distance.py"


rule plot_loci:
    input:
        masks=rules.predict.output.masks,
        store=STORE,
        predictions=rules.predict.output.table,
        regions=rules.export_regions.output.bed,
        planted=source("evaluation.truth.elements"),
        peaks=peaks_of,
        references=reference_files,
        crispri=source_of("crispri"),
    output:
        png=report(
            [f"{FIGURES}/locus_{i}.png" for i in LOCI],
            caption="../report/locus.rst",
            category="{cell_line}",
            subcategory="Regions",
            labels=LABELS,
        ),
        pdf=[f"{FIGURES}/locus_{i}.pdf" for i in LOCI],
    log:
        f"{LOGS}/plot_loci/{RUN}.log",
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
        references=reference_settings,
        cell_type=cell_type,
        title=title,
    script:
        "../workflow_scripts/plot_loci.py"


rule plot_crispri:
    input:
        performance=rules.pool_crispri.output.performance,
        curves=rules.pool_crispri.output.curves,
    output:
        png=report(
            f"{MODEL_FIGURES}/crispri.png",
            caption="../report/crispri.rst",
            category="{cell_line}",
            subcategory="Evidence",
            labels=MODEL_LABELS,
        ),
        pdf=f"{MODEL_FIGURES}/crispri.pdf",
    log:
        f"{LOGS}/plot_crispri/{{cell_line}}/{{assay}}/{{model}}.log",
    conda:
        ENVIRONMENT
    resources:
        **on_cluster(),
        mem_mb=mem_mb,
        runtime=plot_runtime,
    params:
        code=CODE,
        title=model_title,
    script:
        "../workflow_scripts/plot_crispri.py"


rule plot_references:
    input:
        enrichment=rules.score_references.output.enrichment,
        equal=rules.score_references.output.equal,
    output:
        png=report(
            f"{FIGURES}/enrichment.png",
            caption="../report/enrichment.rst",
            category="{cell_line}",
            subcategory="Evidence",
            labels=LABELS,
        ),
        pdf=f"{FIGURES}/enrichment.pdf",
    log:
        f"{LOGS}/plot_references/{RUN}.log",
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
        title=title,
    script:
        "../workflow_scripts/plot_references.py"


rule plot_motifs:
    input:
        motifs=rules.score_motifs.output.table,
    output:
        png=report(
            f"{FIGURES}/motifs.png",
            caption="../report/motifs.rst",
            category="{cell_line}",
            subcategory="Evidence",
            labels=LABELS,
        ),
        pdf=f"{FIGURES}/motifs.pdf",
    log:
        f"{LOGS}/plot_motifs/{RUN}.log",
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
        title=title,
    script:
        "../workflow_scripts/plot_motifs.py"
