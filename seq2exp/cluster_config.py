"""The section `cluster` of config.yaml: what only a site knows of its Slurm."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from seq2exp.config_types import Strict

SlurmName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.,:@-]*$", max_length=256)]
"""Name of an account, a partition, a QOS: nothing that a shell would read otherwise."""
Constraint = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.,:&|*()\[\]-]*$")]
"""Features of nodes, as ``sbatch --constraint`` takes them."""
GpuType = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.]*$")]

OWN_KEYS = {
    "account": "cluster.account",
    "partition": "cluster.partition or cluster.gpu_partition",
    "qos": "cluster.qos",
    "constraint": "cluster.constraint",
    "gres": "cluster.gpu_request and cluster.gpu_type",
    "gpus": "training.devices and cluster.gpu_type",
    "mem": "resources.max_mem_mb",
    "mem-per-cpu": "resources.max_mem_mb",
    "time": "resources.max_runtime_min",
    "cpus-per-task": "resources.training_threads",
}
"""Options of sbatch that must not stand in ``extra``, and the key that is there for each."""
TAKEN = (
    *("job-name", "output", "error", "parsable", "export", "comment", "workdir", "chdir", "array"),
    *("ntasks", "ntasks-per-gpu", "nodes", "cpus-per-gpu", "clusters", "signal", "wrap"),
)
"""Options that the workflow itself, or Snakemake, gives to sbatch."""


def _sbatch_options(value: str) -> str:
    for option in value.split():
        name = option.removeprefix("--").partition("=")[0]
        if not option.startswith("--") or not name:
            raise ValueError(
                f"{option!r} is no long option; write --option or --option=value, without spaces "
                "inside"
            )
        if name in OWN_KEYS:
            raise ValueError(f"--{name} does not go here; use {OWN_KEYS[name]}")
        if name in TAKEN:
            raise ValueError(f"--{name} is set by the workflow; remove it")
    return value


Extra = Annotated[str, Field(pattern=r"^[A-Za-z0-9_=:.,/@%+ -]*$"), AfterValidator(_sbatch_options)]
"""More options of sbatch, none that a shell would read otherwise."""


class ClusterConfig(Strict):
    """What a site's Slurm wants to be told; used by ``snakemake --profile slurm`` alone."""

    account: SlurmName | None = None
    partition: SlurmName | None = None
    """Of every job; Slurm's default partition when left out."""
    gpu_partition: SlurmName | None = None
    """Of jobs with a GPU; ``partition`` when left out."""
    qos: SlurmName | None = None
    constraint: Constraint | None = None
    gpu_request: Literal["gpus", "gres"] = "gpus"
    """``--gpus=1``, or ``--gres=gpu:1`` for sites that know only that."""
    gpu_type: GpuType | None = None
    """Kind of GPU as the site names it (``sinfo -o %G``)."""
    extra: Extra = ""
    """More options of sbatch, for every job."""
    gpu_extra: Extra = ""
    """Those that only jobs with a GPU get as well."""

    def job_resources(self, gpus: int, options: str = "") -> dict[str, int | str | None]:
        """Snakemake's resources of a job with ``gpus`` GPUs and further ``options`` of sbatch.

        None is a resource that is left out.
        """
        given = [options, self.extra, self.gpu_extra if gpus else ""]
        return {
            "slurm_account": self.account,
            "slurm_partition": (gpus and self.gpu_partition) or self.partition,
            "qos": self.qos,
            "constraint": self.constraint,
            "slurm_extra": " ".join(filter(None, given)) or None,
            **self._gpu_resources(gpus),
        }

    def _gpu_resources(self, gpus: int) -> dict[str, int | str | None]:
        # One style alone: Slurm refuses jobs that mix the two.
        if gpus and self.gpu_request == "gres":
            kind = f":{self.gpu_type}" if self.gpu_type else ""
            return {"gpu": 0, "gpu_model": None, "gres": f"gpu{kind}:{gpus}"}
        return {"gpu": gpus, "gpu_model": self.gpu_type if gpus else None, "gres": None}
