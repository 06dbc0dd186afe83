"""The paper's tables, figures and page over all runs: ``snakemake paper``."""

from seq2exp.paper.files import NUMBERS, figure_names, table_names

TABLES, PICTURES = table_names(MATRIX), figure_names(MATRIX)
EXAMPLES = [run for run in [MATRIX.example()] if run]


rule build_paper:
    input:
        metrics=of_runs(rules.train.output.metrics, MATRIX.cells()),
        predictions=of_runs(rules.predict.output.table, MATRIX.cells()),
        views=of_runs(rules.views.output.table, MATRIX.viewed()),
        loci=[file for i in LOCI for file in of_runs(f"{FIGURES}/locus_{i}.png", EXAMPLES)],
    output:
        numbers=expand(f"{PAPER}/numbers/{{name}}.tsv", name=NUMBERS),
        tables=expand(f"{PAPER}/tables/{{name}}.{{kind}}", name=TABLES, kind=["tsv", "tex"]),
        pages=[
            paper_report(f"tables/{name}.html", name, "../report/paper_tables.rst")
            for name in TABLES
        ],
        png=[
            paper_report(f"figures/{name}.png", name, "../report/paper_figures.rst")
            for name in PICTURES
        ],
        pdf=expand(f"{PAPER}/figures/{{name}}.pdf", name=PICTURES),
        index=paper_report("index.html", "all", "../report/paper_index.rst"),
    log:
        f"{LOGS}/build_paper.log",
    conda:
        ENVIRONMENT
    resources:
        **on_cluster(),
        mem_mb=mem_mb,
        runtime=runtime,
    params:
        code=CODE,
        matrix=MATRIX.model_dump(mode="json"),
    script:
        "../workflow_scripts/build_paper.py"
