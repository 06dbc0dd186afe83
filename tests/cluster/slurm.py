"""A real Slurm on this machine, for tests: no systemd, no cgroups, no accounting.

Needs root and Debian's packages (`PACKAGES`). The configuration lies in /etc/slurm, because the
jobs of Snakemake's executor do not inherit SLURM_CONF. This machine is one node, and a second one
under the name localhost, for the partition ``pair`` alone. Each has two GPUs that are none: Slurm
hands out /dev/null and /dev/zero.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
PROGRAMS = ("slurmctld", "slurmd", "squeue", "munged")
CONFIGURATION = Path("/etc/slurm")
OURS = "# Written by the tests of seq2exp; deleted when they end.\n"

SLURM_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.sock
SlurmctldPort=16817
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
MinJobAge=3600
KillWait=10
GresTypes=gpu
NodeName=DEFAULT CPUs=8 RealMemory={megabytes} Gres=gpu:2 State=UNKNOWN
NodeName={host} NodeAddr=127.0.0.1 Port=16818
NodeName=localhost NodeHostname={host} NodeAddr=127.0.0.1 Port=16819
PartitionName=cpu Nodes={host} Default=YES MaxTime=1-00:00:00 PriorityTier=1 State=UP
PartitionName=gpu Nodes={host} MaxTime=1-00:00:00 PriorityTier=1 State=UP
PartitionName=owners Nodes={host} MaxTime=1-00:00:00 PriorityTier=2 State=UP
PartitionName=pair Nodes={host},localhost MaxTime=1-00:00:00 PriorityTier=1 State=UP
"""
GRES_CONF = """\
NodeName={host},localhost Name=gpu File=/dev/null
NodeName={host},localhost Name=gpu File=/dev/zero
"""
PARTITIONS = ("cpu", "gpu", "owners", "pair")


class Unavailable(Exception):  # noqa: N818 - a reason to skip
    """Slurm cannot run here; the message says why."""


class Slurm:
    """The daemons of one cluster; `start` and `stop` it.

    Parameters
    ----------
    folder
        Empty folder for state, logs and sockets.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.host = socket.gethostname().split(".")[0]
        self.nodes = (self.host, "localhost")
        self.daemons = ("slurmctld", *(f"slurmd.{node}" for node in self.nodes))

    def start(self) -> None:
        """Configure and start munged, slurmctld and slurmd; wait until the nodes take jobs.

        Raises
        ------
        Unavailable
            The daemons do not run on this machine.
        """
        try:
            self._start()
        except (RuntimeError, TimeoutError, subprocess.TimeoutExpired) as error:
            self.stop()
            raise Unavailable(f"Slurm does not start here: {error}") from error

    def _start(self) -> None:
        CONFIGURATION.mkdir(exist_ok=True)
        for folder in ("state", *(f"spool.{node}" for node in self.nodes)):
            (self.folder / folder).mkdir()
        text = OURS + SLURM_CONF.format(
            host=self.host, folder=self.folder, megabytes=total_memory_mb() - 1024
        )
        (CONFIGURATION / "slurm.conf").write_text(text)
        (CONFIGURATION / "gres.conf").write_text(OURS + GRES_CONF.format(host=self.host))
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        options = ("key-file=munge.key", "socket=munge.sock", "pid-file=munged.pid")
        options += ("log-file=munged.log", "seed-file=munge.seed")
        paths = [f"--{name}={self.folder}/{file}" for name, file in (o.split("=") for o in options)]
        run("munged", "--force", *paths)
        for name in self.daemons:
            self.start_daemon(name)
        self.wait_for_nodes()

    def stop(self) -> None:
        """Cancel all jobs, stop the daemons, delete the configuration."""
        with suppress(subprocess.TimeoutExpired):  # the controller may be gone already
            command = ["scancel", "--signal=KILL", "--user=root"]
            subprocess.run(command, capture_output=True, timeout=30)
        for name in (*reversed(self.daemons), "munged"):
            self.stop_daemon(name)
        for name in ("slurm.conf", "gres.conf"):
            (CONFIGURATION / name).unlink(missing_ok=True)

    def start_daemon(self, name: str) -> None:
        """Start slurmctld, or slurmd.NODE; they go to the background."""
        program, _, node = name.partition(".")
        run(program, *(["-N", node] if node else []))

    def stop_daemon(self, name: str, how: int = signal.SIGTERM) -> None:
        """End one daemon with a signal, and wait until it is gone."""
        file = self.folder / f"{name}.pid"
        if not file.exists():
            return
        process = int(file.read_text())
        try:
            os.kill(process, how)
        except ProcessLookupError:
            return
        wait_until(lambda: not is_alive(process), 20, f"{name} does not end")
        file.unlink(missing_ok=True)

    def wait_for_nodes(self) -> None:
        """Wait until all nodes are up."""

        def up() -> bool:
            states = output("sinfo", "--Node", "-h", "-o", "%N %T").splitlines()
            return bool(states) and all(x.split()[1] in ("idle", "mixed") for x in states)

        wait_until(up, 30, f"the nodes do not come up; see {self.folder}/slurmd.*.log")

    def recover(self) -> None:
        """Cancel all jobs, open partitions and start daemons that a test has stopped."""
        for name in self.daemons:
            file = self.folder / f"{name}.pid"
            if not file.exists() or not is_alive(int(file.read_text())):
                self.start_daemon(name)
        run("scancel", "--user=root")
        wait_until(lambda: not output("squeue", "-h"), 60, "jobs do not end")
        for partition in PARTITIONS:
            run("scontrol", "update", f"PartitionName={partition}", "State=UP")
        self.wait_for_nodes()

    def jobs(self) -> list[dict[str, str]]:
        """Every job since the start, the newest last, as strings: see ``keys``."""
        keys = ("id", "state", "comment", "limit", "memory", "nodes")
        lines = output("squeue", "--states=all", "-h", "-o", "%i|%T|%k|%l|%m|%D").splitlines()
        rows = [dict(zip(keys, line.split("|"), strict=True)) for line in lines]
        return sorted(rows, key=lambda row: int(row["id"].split("_")[0]))


def is_alive(process: int) -> bool:
    """Whether a process runs (one that has ended and was not waited for does not)."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def refuse_a_real_cluster() -> None:
    """Raise `Unavailable` where /etc/slurm is somebody's; clear what an earlier test left."""
    conf = CONFIGURATION / "slurm.conf"
    if conf.exists() and not conf.read_text().startswith(OURS):
        raise Unavailable(f"{conf} exists: this machine belongs to a cluster")
    if conf.exists():
        for line in conf.read_text().splitlines():
            if line.startswith("SlurmctldPidFile="):
                left = Slurm(Path(line.split("=")[1]).parent)
                left.stop()


def make_ready() -> None:
    """Clear what an earlier test left, and install Slurm by apt if it is not there.

    Raises
    ------
    Unavailable
        No root, a cluster of somebody's, no apt, or apt fails (without a network, for example).
    """
    if os.geteuid() != 0:
        raise Unavailable("a test cluster needs root")
    refuse_a_real_cluster()
    if all(shutil.which(program) for program in PROGRAMS):
        return
    if shutil.which("apt-get") is None:
        raise Unavailable("no Slurm, and no apt-get to install it")
    apt("update", "-qq")
    apt("install", "-y", "-qq", "--no-install-recommends", *PACKAGES)


def apt(*arguments: str) -> None:
    """Run apt-get; raises `Unavailable` where it fails or does not come to an end."""
    hurry = ("-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=15")
    hurry += ("-o", "DPkg::Lock::Timeout=60")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            ["apt-get", *hurry, *arguments],
            capture_output=True,
            text=True,
            env=environment,
            timeout=240,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"apt-get {arguments[0]} takes too long") from None
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["without a message"])[-1]
        raise Unavailable(f"apt-get {arguments[0]} fails: {reason}")


def total_memory_mb() -> int:
    """Memory of this machine."""
    (line,) = (x for x in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in x)
    return int(line.split()[1]) // 1024


def run(*command: str) -> None:
    """Run a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")


def output(*command: str) -> str:
    """Output of a Slurm command; nothing while the controller does not answer."""
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.strip()


def wait_until(condition, seconds: float, otherwise: str) -> None:
    """Wait for a condition.

    Raises
    ------
    TimeoutError
        It does not hold in time.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(otherwise)
        time.sleep(0.2)


if __name__ == "__main__":
    try:
        make_ready()
    except Unavailable as reason:
        sys.exit(f"the tests on a Slurm are skipped: {reason}")
