"""Test-time ablations: the test genes of each run as its model predicts them in each view."""

VIEWS = {name: view.model_dump(mode="json") for name, view in CONFIG.evaluation.views.items()}
SUMMARY_OF_VIEWS = [f"{RESULTS}/views.tsv"] if VIEWS else []


rule views:
    input:
        checkpoint=rules.train.output.checkpoint,
        store=STORE,
        predictions=rules.predict.output.table,
    output:
        table=f"{EVALUATION}/views.tsv",
    log:
        f"{LOGS}/views/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/views/{RUN}.tsv"
    group:
        prediction_group
    conda:
        ENVIRONMENT
    threads: CONFIG.resources.training_threads
    resources:
        **on_cluster(prediction_layout),
        mem_mb=prediction_mem_mb,
        runtime=views_runtime,
        slots=4,
        workers=CONFIG.training.workers,  # not a parameter: see rule train
    params:
        code=CODE,
        views=VIEWS,
        batch_size=CONFIG.prediction.batch_size,
        device=DEVICE,
    script:
        "../workflow_scripts/views.py"


rule summarise_views:
    input:
        [f"{EVALUATION}/views.tsv".format(**run) for run in RUNS],
    output:
        table=report(f"{RESULTS}/views.tsv", caption="../report/views.rst", category="All runs"),
    log:
        f"{LOGS}/summarise_views.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        code=CODE,
        runs=RUNS,
    script:
        "../workflow_scripts/summarise_views.py"
