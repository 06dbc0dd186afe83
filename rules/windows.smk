"""One memory-mapped store of TSS windows a cell line."""


rule build_store:
    input:
        fasta=rules.prepare_genome.output.fasta,
        index=rules.prepare_genome.output.index,
        chrom_sizes=rules.prepare_genome.output.chrom_sizes,
        genes_table=rules.prepare_genes.output.table,
        blacklist=source("genome.blacklist"),
        h3k27ac=source_of("h3k27ac"),
        dnase=source_of("dnase"),
        hic=source_of("hic"),
        peaks=peaks_of,
        labels=label_files,
    output:
        directory(STORE),
    log:
        f"{LOGS}/build_store/{{cell_line}}.log",
    benchmark:
        f"{BENCHMARKS}/build_store/{{cell_line}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        **on_cluster(),
        mem_mb=mem_mb,
        runtime=runtime,
    params:
        code=CODE,
        genome_name=CONFIG.genome.name,
        hic=hic_settings,
        labels=labels_of,
        window=CONFIG.window.model_dump(mode="json"),
        power_law=CONFIG.power_law.model_dump(mode="json"),
    script:
        "../workflow_scripts/build_store.py"
