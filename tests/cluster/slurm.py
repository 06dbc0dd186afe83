"""A real Slurm with one node on this machine, for tests: no systemd, no cgroups, no accounting.

Needs root and Debian's packages (`PACKAGES`). The configuration lies in /etc/slurm, because the
jobs of Snakemake's executor do not inherit SLURM_CONF. The node has a GPU that is none: Slurm
hands out /dev/null.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
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
SlurmdPort=16818
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
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
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory={megabytes} Gres=gpu:1 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=1-00:00:00 PriorityTier=1 State=UP
PartitionName=gpu Nodes={host} MaxTime=1-00:00:00 PriorityTier=1 State=UP
PartitionName=owners Nodes={host} MaxTime=1-00:00:00 PriorityTier=2 State=UP
"""


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

    def start(self) -> None:
        """Configure and start munged, slurmctld and slurmd; wait until the node takes jobs."""
        refuse_a_real_cluster()
        (self.folder / "state").mkdir()
        (self.folder / "spool").mkdir()
        text = OURS + SLURM_CONF.format(
            host=self.host, folder=self.folder, megabytes=total_memory_mb() - 1024
        )
        (CONFIGURATION / "slurm.conf").write_text(text)
        (CONFIGURATION / "gres.conf").write_text(
            f"{OURS}NodeName={self.host} Name=gpu File=/dev/null\n"
        )
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        options = ("key-file=munge.key", "socket=munge.sock", "pid-file=munged.pid")
        options += ("log-file=munged.log", "seed-file=munge.seed")
        paths = [f"--{name}={self.folder}/{file}" for name, file in (o.split("=") for o in options)]
        run("munged", "--force", *paths)
        self.start_daemon("slurmctld")
        self.start_daemon("slurmd")
        self.wait_for_node()

    def stop(self) -> None:
        """Cancel all jobs, stop the daemons, delete the configuration."""
        subprocess.run(["scancel", "--signal=KILL", "--user=root"], capture_output=True, timeout=30)
        for name in ("slurmd", "slurmctld", "munged"):
            self.stop_daemon(name)
        for name in ("slurm.conf", "gres.conf"):
            (CONFIGURATION / name).unlink(missing_ok=True)

    def start_daemon(self, name: str) -> None:
        """Start slurmctld or slurmd, which go to the background."""
        run(name)

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

    def wait_for_node(self) -> None:
        """Wait until the node is up."""
        wait_until(
            lambda: output("sinfo", "-h", "-o", "%T").split("\n")[0] in ("idle", "mixed"),
            30,
            f"the node does not come up; see {self.folder}/slurmd.log",
        )

    def recover(self) -> None:
        """Cancel all jobs, open partitions and start daemons that a test has stopped."""
        for name in ("slurmctld", "slurmd"):
            file = self.folder / f"{name}.pid"
            if not file.exists() or not is_alive(int(file.read_text())):
                self.start_daemon(name)
        run("scancel", "--user=root")
        wait_until(lambda: not output("squeue", "-h"), 60, "jobs do not end")
        for partition in ("cpu", "gpu", "owners"):
            run("scontrol", "update", f"PartitionName={partition}", "State=UP")
        self.wait_for_node()

    def jobs(self) -> list[dict[str, str]]:
        """Every job since the start, the newest last: id, state, comment, reason, minutes, mem."""
        keys = ("id", "state", "comment", "reason", "limit", "memory", "gres", "partition")
        lines = output("squeue", "--states=all", "-h", "-o", "%i|%T|%k|%r|%l|%m|%b|%P").splitlines()
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


def install() -> None:
    """Install Slurm by apt if it is not there.

    Raises
    ------
    Unavailable
        No root, no apt, or apt fails.
    """
    if os.geteuid() != 0:
        raise Unavailable("a test cluster needs root")
    if all(shutil.which(program) for program in PROGRAMS):
        return
    if shutil.which("apt-get") is None:
        raise Unavailable("no Slurm, and no apt-get to install it")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends"]):
        packages = PACKAGES if command[0] == "install" else ()
        done = subprocess.run(
            ["apt-get", *command, *packages], capture_output=True, text=True, env=environment
        )
    if done.returncode != 0:
        raise Unavailable(f"apt-get install {' '.join(PACKAGES)}: {done.stderr.strip()[-300:]}")


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
