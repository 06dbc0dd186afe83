"""What jobs ask for: memory, time, GPUs, and what a site's cluster wants to be told."""

from seq2exp import resources


def on_cluster(gpus=lambda wildcards: 0, options=""):
    """Resources that only a cluster reads, as the config's section ``cluster`` has them."""

    def resource(name):
        return lambda wildcards: CONFIG.cluster.job_resources(gpus(wildcards), options)[name]

    return {name: resource(name) for name in CONFIG.cluster.job_resources(0)}


def read_whole(input):
    """Inputs that a job has in memory.

    Of stores, masks and contact maps only what is looked at is read; regions are small, and not
    there yet when the cluster job that makes and draws them is submitted.
    """
    others = [input.get(name) for name in ("hic", "store", "masks", "regions")]
    return [file for file in input if file not in others]


def mem_mb(wildcards, input, attempt):
    """Memory of a job that reads its input."""
    return resources.memory_mb(read_whole(input), attempt, CONFIG.resources)


def runtime(wildcards, input, attempt):
    """Minutes of a job that reads its input; of a contact map only the bins around TSSs are read."""
    read = [file for file in input if file != input.get("hic")]
    return resources.runtime_min(read, attempt, CONFIG.resources)


def store_runtime(wildcards, input, attempt):
    """Minutes of a job that goes through a window store.

    Of its other inputs some are made in the same cluster job, so their sizes are not known before.
    """
    return resources.runtime_min([input.store], attempt, CONFIG.resources)


def plot_runtime(wildcards, attempt):
    """Minutes of a job that draws a picture."""
    return min(5 * attempt, CONFIG.resources.max_runtime_min)


def evidence_mem_mb(wildcards, attempt):
    """Memory of a job that goes through masks and windows, a gene at a time."""
    return resources.memory_mb([], 2 * attempt, CONFIG.resources)


def evidence_runtime(wildcards, attempt):
    """Minutes of a job that compares runs."""
    return min(60 * attempt, CONFIG.resources.max_runtime_min)


def model_mem_mb(wildcards, attempt):
    """Memory of a job that runs a model."""
    return resources.training_memory_mb(
        MODELS[wildcards.model],
        CONFIG.window,
        CONFIG.training,
        attempt,
        CONFIG.resources,
    )


def training_runtime(wildcards, attempt):
    """Minutes of a training job."""
    return resources.training_runtime_min(
        MODELS[wildcards.model],
        CONFIG.window,
        CONFIG.training,
        attempt,
        CONFIG.resources,
    )


def gpu(wildcards):
    """GPUs of a job that runs a model: 1 with ``training.accelerator: gpu``, or 0."""
    return resources.needs_gpu(MODELS[wildcards.model], CONFIG.training)


TRAINING_PIECES = max(
    resources.training_pieces(model, CONFIG.window, CONFIG.training, CONFIG.resources)
    for model in MODELS.values()
)


def training_gpus(wildcards):
    """GPUs of a training job: one a process."""
    return gpu(wildcards) * CONFIG.training.devices


# Small jobs go to the cluster together (slurm/config.yaml: group-components and slots).


def prediction_group(wildcards):
    """Predicting and evaluating: one cluster job a run, with or without a GPU."""
    return "prediction_gpu" if gpu(wildcards) else "prediction"
