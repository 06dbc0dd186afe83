"""The regions that a model with a mask has used: BED, narrowPeak and the mask as bigWig.

With ``regions.select: fdr`` from the masks of shuffled windows as well; with ``regions.other_tracks``
also those of a part of the mask alone.
"""


rule predict_shuffled:
    input:
        checkpoint=rules.train.output.checkpoint,
        store=STORE,
        predictions=rules.predict.output.table,
    output:
        masks=temp(directory(f"{PREDICTION}/shuffled_masks")),
    log:
        f"{LOGS}/predict_shuffled/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/predict_shuffled/{RUN}.tsv"
    wildcard_constraints:
        model=any_of(MASK_MODELS),
    group:
        prediction_group
    conda:
        ENVIRONMENT
    threads: CONFIG.resources.training_threads
    resources:
        **on_cluster(prediction_layout),
        mem_mb=prediction_mem_mb,
        runtime=prediction_runtime,
        slots=4,
        workers=CONFIG.training.workers,  # not a parameter: see rule train
    params:
        code=CODE,
        batch_size=CONFIG.prediction.batch_size,
        device=DEVICE,
    script:
        "../workflow_scripts/predict_shuffled.py"


BY_FDR = CONFIG.regions.select == "fdr"
SHUFFLED = {"shuffled": rules.predict_shuffled.output.masks} if BY_FDR else {}


rule export_regions:
    input:
        **SHUFFLED,
        masks=rules.predict.output.masks,
        predictions=rules.predict.output.table,
        chrom_sizes=rules.prepare_genome.output.chrom_sizes,
    output:
        **({"fdr": f"{REGIONS}/fdr.tsv"} if BY_FDR else {}),
        bed=report(
            f"{REGIONS}/elements.bed.gz",
            caption="../report/elements.rst",
            category="{cell_line}",
            subcategory="Regions",
            labels=LABELS,
        ),
        index=f"{REGIONS}/elements.bed.gz.tbi",
        narrowpeak=f"{REGIONS}/elements.narrowPeak",
        bigwig=f"{REGIONS}/mask.bw",
    log:
        f"{LOGS}/export_regions/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/export_regions/{RUN}.tsv"
    group:
        "figures"
    conda:
        ENVIRONMENT
    resources:
        **on_cluster(),
        mem_mb=mem_mb,
        runtime=runtime,
        slots=1,
    params:
        code=CODE,
        regions=CONFIG.regions.model_dump(mode="json", exclude={"effects", "other_tracks"}),
    script:
        "../workflow_scripts/export_regions.py"


use rule export_regions as export_regions_of_part with:
    output:
        **({"fdr": f"{REGIONS}/fdr.{{track}}.tsv"} if BY_FDR else {}),
        bed=report(
            f"{REGIONS}/elements.{{track}}.bed.gz",
            caption="../report/elements_of_part.rst",
            category="{cell_line}",
            subcategory="Regions",
            labels=LABELS | {"track": "{track}"},
        ),
        index=f"{REGIONS}/elements.{{track}}.bed.gz.tbi",
        narrowpeak=f"{REGIONS}/elements.{{track}}.narrowPeak",
    log:
        f"{LOGS}/export_regions_of_part/{RUN}.{{track}}.log",
    benchmark:
        f"{BENCHMARKS}/export_regions_of_part/{RUN}.{{track}}.tsv"
    wildcard_constraints:
        track="sequence_part|prior",
