"""What jobs ask for: memory, time, GPUs, and what a site's cluster wants to be told."""

from seq2exp import resources
from seq2exp.cluster_config import Layout


def on_cluster(layout=lambda wildcards: Layout(), options=""):
    """Resources that only a cluster reads, as the config's section ``cluster`` has them."""

    def of_job(wildcards):
        threads = CONFIG.resources.training_threads
        return CONFIG.cluster.job_resources(layout(wildcards), options, threads)

    def resource(name):
        return lambda wildcards: of_job(wildcards)[name]

    return {name: resource(name) for name in CONFIG.cluster.job_resources(Layout())}


def read_whole(input):
    """Inputs that a job has in memory.

    Of stores, masks and contact maps only what is looked at is read; regions are small, and not
    there yet when the cluster job that makes and draws them is submitted.
    """
    others = [input.get(name) for name in ("hic", "store", "masks", "regions")]
    return [file for file in input if file not in others]


def mem_mb(wildcards, input, attempt):
    """Memory of a job that reads its input."""
    mb = resources.reading_mb(resources.size_mb(read_whole(input)))
    return resources.ask_memory(mb, attempt, CONFIG.resources)


def runtime(wildcards, input, attempt):
    """Minutes of a job that reads its input; of a contact map only the bins around TSSs are read."""
    read = [file for file in input if file != input.get("hic")]
    minutes = resources.reading_minutes(resources.size_mb(read))
    return resources.ask_runtime(minutes, attempt, CONFIG.resources)


def plot_runtime(wildcards, attempt):
    """Minutes of a job that draws a picture."""
    return min(5 * attempt, CONFIG.resources.max_runtime_min)


def evidence_mem_mb(wildcards, attempt):
    """Memory of a job that goes through masks and windows, a gene at a time, beside its tables."""
    return resources.ask_memory(2 * resources.reading_mb(0), attempt, CONFIG.resources)


def store_runtime(wildcards, input, attempt):
    """Minutes of a job that goes through a window store.

    Of its other inputs some are made in the same cluster job, so their sizes are not known before.
    """
    minutes = resources.reading_minutes(resources.size_mb([input.store]))
    return resources.ask_runtime(minutes, attempt, CONFIG.resources)


def evidence_runtime(wildcards, attempt):
    """Minutes of a job that compares runs."""
    return resources.ask_runtime(60, attempt, CONFIG.resources)


# ------------------------------------------------------------------------------- models


def training_mem_mb(wildcards, attempt):
    """Memory of a training, on each node."""
    mb = resources.training_mb(MODELS[wildcards.model], CONFIG.window, CONFIG.training)
    return resources.ask_memory(mb, attempt, CONFIG.resources)


def training_runtime(wildcards, attempt):
    """Minutes of a training job."""
    minutes = resources.training_minutes(MODELS[wildcards.model], CONFIG.window, CONFIG.training)
    return resources.ask_runtime(minutes, attempt, CONFIG.resources)


def training_layout(wildcards):
    """Nodes, processes and GPUs of a training."""
    return resources.training_layout(MODELS[wildcards.model], CONFIG.training)


def training_nodes(wildcards):
    """Nodes of a training."""
    return training_layout(wildcards).nodes


TRAINING_PIECES = max(
    resources.training_pieces(model, CONFIG.window, CONFIG.training, CONFIG.resources)
    for model in MODELS.values()
)


def prediction_mem_mb(wildcards, attempt):
    """Memory of a job that runs a trained model."""
    mb = resources.prediction_mb(
        MODELS[wildcards.model], CONFIG.window, CONFIG.training, CONFIG.prediction.batch_size
    )
    return resources.ask_memory(mb, attempt, CONFIG.resources)


def prediction_runtime(wildcards, input, attempt):
    """Minutes of a job that runs a trained model on a window store.

    Of its other inputs some are made in the same cluster job, so their sizes are not known before.
    """
    minutes = resources.prediction_minutes(
        MODELS[wildcards.model], CONFIG.window, CONFIG.training, resources.size_mb([input.store])
    )
    return resources.ask_runtime(minutes, attempt, CONFIG.resources)


def views_runtime(wildcards, input, attempt):
    """Minutes for all views: each takes at most what predicting takes."""
    minutes = prediction_runtime(wildcards, input, attempt) * len(CONFIG.evaluation.views)
    return min(minutes, CONFIG.resources.max_runtime_min)


def effects_mem_mb(wildcards, attempt):
    """Memory of a job that computes effects of elements."""
    mb = resources.effects_mb(
        MODELS[wildcards.model], CONFIG.window, CONFIG.training, CONFIG.prediction.batch_size
    )
    return resources.ask_memory(mb, attempt, CONFIG.resources)


def effects_runtime(wildcards, input, attempt):
    """Minutes of a job that computes effects of the elements of the test genes."""
    minutes = resources.effects_minutes(
        *(MODELS[wildcards.model], CONFIG.window, CONFIG.training, CONFIG.regions.effects),
        resources.size_mb([input.store]),
    )
    return resources.ask_runtime(minutes, attempt, CONFIG.resources)


def prediction_layout(wildcards):
    """One GPU with ``training.accelerator: gpu``, or none."""
    return Layout(gpus=resources.needs_gpu(MODELS[wildcards.model], CONFIG.training))


# Small jobs go to the cluster together (slurm/config.yaml: group-components and slots).


def prediction_group(wildcards):
    """Predicting and evaluating: one cluster job a run, with or without a GPU."""
    return "prediction_gpu" if prediction_layout(wildcards).gpus else "prediction"
