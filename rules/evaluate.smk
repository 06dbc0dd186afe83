"""What each run is worth, and one summary of all."""


rule evaluate:
    input:
        checkpoint=rules.train.output.checkpoint,
        metrics=rules.train.output.metrics,
        store=STORE,
        predictions=rules.predict.output.table,
        masks=rules.predict.output.masks,
        truth=TRUTH,
    output:
        **PLANTED_ELEMENTS,
        evaluation=f"{EVALUATION}/evaluation.json",
        distance=f"{EVALUATION}/mask_against_distance.tsv",
    log:
        f"{LOGS}/evaluate/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/evaluate/{RUN}.tsv"
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
    params:
        code=CODE,
        batch_size=CONFIG.prediction.batch_size,
        device=DEVICE,
    script:
        "../workflow_scripts/evaluate.py"


use rule evaluate as evaluate_without_masks with:
    input:
        checkpoint=rules.train.output.checkpoint,
        metrics=rules.train.output.metrics,
        store=STORE,
        predictions=rules.predict.output.table,
        truth=TRUTH,
    output:
        **PLANTED_ELEMENTS,
        evaluation=f"{EVALUATION}/evaluation.json",
    wildcard_constraints:
        model=any_of(OTHER_MODELS),


rule summarise:
    input:
        evaluations=[f"{EVALUATION}/evaluation.json".format(**run) for run in RUNS],
        evidence=[file for run in MASK_RUNS for file in evidence_of(run)],
    output:
        json=f"{RESULTS}/summary.json",
        table=report(f"{RESULTS}/summary.tsv", caption="../report/summary.rst", category="All runs"),
    log:
        f"{LOGS}/summarise.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        code=CODE,
    script:
        "../workflow_scripts/summarise.py"
