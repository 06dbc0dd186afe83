"""The data of each cell line, examined before anything is trained on them."""


rule check_cell_line:
    input:
        chrom_sizes=rules.prepare_genome.output.chrom_sizes,
        genes=rules.prepare_genes.output.table,
        dropped=rules.prepare_genes.output.dropped,
        h3k27ac=source_of("h3k27ac"),
        dnase=source_of("dnase"),
        hic=source_of("hic"),
        peaks=peaks_of,
        labels=label_files,
    output:
        table=f"{RESULTS}/check/{{cell_line}}.tsv",
        promoters=f"{RESULTS}/check/{{cell_line}}.promoters.tsv",
    log:
        f"{LOGS}/check_cell_line/{{cell_line}}.log",
    conda:
        ENVIRONMENT
    resources:
        **on_cluster(),
        mem_mb=mem_mb,
        runtime=runtime,
    params:
        code=CODE,
        # Nothing but what the windows are built from: a new check trains all models again.
        hic=hic_settings,
        labels=labels_of,
        window=CONFIG.window.model_dump(mode="json"),
    script:
        "../workflow_scripts/check_cell_line.py"


rule check_all:
    input:
        tables=expand(rules.check_cell_line.output.table, cell_line=CONFIG.cell_lines),
        promoters=expand(rules.check_cell_line.output.promoters, cell_line=CONFIG.cell_lines),
        folds=rules.assign_folds.output.table,
    output:
        table=f"{RESULTS}/check.tsv",
        page=report(f"{RESULTS}/check.html", caption="../report/check.rst", category="Data"),
    log:
        f"{LOGS}/check_all.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        code=CODE,
        runs=CONFIG.folds.run,
    script:
        "../workflow_scripts/check_all.py"
