"""A dry run of a matrix as large as they get stays a matter of seconds."""

import re
import resource

import pytest
import yaml

from .conftest import ROOT, run_snakemake
from .test_dry_run import job_counts


@pytest.mark.slow
def test_three_cell_lines_ten_models_twelve_folds_five_seeds(tmp_path):
    raw = yaml.safe_load((ROOT / "config.yaml").read_text())
    cell_line = raw["cell_lines"]["K562"]
    raw["cell_lines"] = dict.fromkeys(("K562", "GM12878", "H1"), cell_line)
    kinds = sorted(raw["models"])
    variants = [(kind, width) for width in (16, 32, 64) for kind in kinds if "linear" not in kind]
    named = {f"{kind}_{width}": {"kind": kind, "d_model": width} for kind, width in variants}
    raw["models"] = dict(list(({name: {} for name in kinds} | named).items())[:10])
    raw["folds"] = {"scheme": "paper", "run": list(range(1, 13))}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run_snakemake("--dry-run", "--quiet", "all", cwd=tmp_path, config=raw, timeout=900)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert job_counts(done)["train"] == 3 * 10 * 12 * 5
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    print(f"{seconds:.0f} s of CPU time, {after.ru_maxrss / 1024:.0f} MB")
    assert seconds < 60
    assert after.ru_maxrss < 1_000_000  # kB
    assert not re.search("Traceback", done.stderr)
