"""The Hi-C reader's own threads give way to ours."""

import os
import subprocess
import sys

import pytest

CODE = """
import os
before = set(os.listdir("/proc/self/task"))
from seq2exp.hictk import load_hictkpy
hictkpy = load_hictkpy()
assert load_hictkpy() is hictkpy and hictkpy.is_cooler
started = set(os.listdir("/proc/self/task")) - before
policies = {os.sched_getscheduler(int(thread)) for thread in started}
assert policies <= {os.SCHED_IDLE}, policies
assert os.sched_getscheduler(0) == os.SCHED_OTHER
"""


@pytest.mark.skipif(sys.platform != "linux", reason="thread priorities are Linux's")
def test_only_threads_of_the_reader_are_made_idle():
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, "-c", CODE], check=True, env=environment)
