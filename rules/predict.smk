"""Predicted expression of every gene, and masks of the genes in ``prediction.mask_splits``."""


rule predict:
    input:
        checkpoint=rules.train.output.checkpoint,
        store=STORE,
        folds=rules.assign_folds.output.table,
    output:
        table=f"{PREDICTION}/predictions.tsv",
        masks=directory(f"{PREDICTION}/masks"),
    log:
        f"{LOGS}/predict/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/predict/{RUN}.tsv"
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
        mask_splits=CONFIG.prediction.mask_splits,
        batch_size=CONFIG.prediction.batch_size,
        device=DEVICE,
    script:
        "../workflow_scripts/predict.py"


use rule predict as predict_without_masks with:
    output:
        table=f"{PREDICTION}/predictions.tsv",
    wildcard_constraints:
        model=any_of(OTHER_MODELS),
