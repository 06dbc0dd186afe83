"""The genome: its chromosomes, genes and folds."""


rule prepare_genome:
    input:
        fasta=source("genome.fasta"),
    output:
        fasta=f"{REFERENCE}/genome.fa",
        index=f"{REFERENCE}/genome.fa.fai",
        chrom_sizes=f"{REFERENCE}/chrom.sizes",
    log:
        f"{LOGS}/prepare_genome.log",
    benchmark:
        f"{BENCHMARKS}/prepare_genome.tsv"
    conda:
        ENVIRONMENT
    resources:
        **on_cluster(),
        mem_mb=mem_mb,
        runtime=runtime,
    params:
        code=CODE,
        chromosomes=CONFIG.genome.chromosomes,
    script:
        "../workflow_scripts/prepare_genome.py"


rule prepare_genes:
    input:
        annotation=source("genome.annotation"),
        genes=source("genome.genes"),
        features=source("genome.features.table"),
        fasta=rules.prepare_genome.output.fasta,
        index=rules.prepare_genome.output.index,
        chrom_sizes=rules.prepare_genome.output.chrom_sizes,
    output:
        table=f"{REFERENCE}/genes.tsv",
        dropped=f"{REFERENCE}/genes_dropped.tsv",
    log:
        f"{LOGS}/prepare_genes.log",
    conda:
        ENVIRONMENT
    resources:
        **on_cluster(),
        mem_mb=mem_mb,
        runtime=runtime,
    params:
        code=CODE,
        features_id=getattr(CONFIG.genome.features, "id_column", "gene_id"),
        gene_types=CONFIG.genome.gene_types,
        n_fraction_span=CONFIG.window.n_fraction_span or CONFIG.window.length,
        max_n_fraction=CONFIG.window.max_n_fraction,
    script:
        "../workflow_scripts/prepare_genes.py"


rule assign_folds:
    input:
        genes=rules.prepare_genes.output.table,
    output:
        table=f"{REFERENCE}/folds.tsv",
    log:
        f"{LOGS}/assign_folds.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        code=CODE,
        # All folds there are: another choice of those to run must not rewrite the table, which
        # would make every model older than its input.
        folds=CONFIG.folds.model_dump(exclude={"run"})
        | {"run": [min(CONFIG.folds.sets, default=1)]},
    script:
        "../workflow_scripts/assign_folds.py"
