"""The regions that a model with a mask has used: BED, narrowPeak and the mask as bigWig."""


rule export_regions:
    input:
        masks=rules.predict.output.masks,
        predictions=rules.predict.output.table,
        chrom_sizes=rules.prepare_genome.output.chrom_sizes,
    output:
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
        regions=CONFIG.regions.model_dump(mode="json"),
    script:
        "../workflow_scripts/export_regions.py"
