"""What the called elements are worth: their effects on the predictions of their genes, beside the
parts of the mask and the reference regions that they overlap."""


rule score_elements:
    input:
        checkpoint=rules.train.output.checkpoint,
        store=STORE,
        masks=rules.predict.output.masks,
        predictions=rules.predict.output.table,
        elements=rules.export_regions.output.bed,
        references=reference_files,
        peaks=peaks_of,
    output:
        table=report(
            f"{REGIONS}/element_scores.tsv",
            caption="../report/element_scores.rst",
            category="{cell_line}",
            subcategory="Regions",
            labels=LABELS,
        ),
    log:
        f"{LOGS}/score_elements/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/score_elements/{RUN}.tsv"
    wildcard_constraints:
        model=any_of(MASK_MODELS),
    conda:
        ENVIRONMENT
    threads: CONFIG.resources.training_threads
    resources:
        **on_cluster(prediction_layout),
        mem_mb=effects_mem_mb,
        runtime=effects_runtime,
    params:
        code=CODE,
        effects=CONFIG.regions.effects.model_dump(mode="json"),
        references=reference_settings,
        batch_size=CONFIG.prediction.batch_size,
        device=DEVICE,
    script:
        "../workflow_scripts/score_elements.py"
