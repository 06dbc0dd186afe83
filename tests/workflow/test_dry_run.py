"""What would run: counted jobs, no network, and no heavy import while the Snakefile is read."""

import re
import shutil
import subprocess
import sys

import pytest

from tests.workflow.conftest import ROOT, run_snakemake


def job_counts(done):
    """Jobs per rule from the table of a dry run."""
    assert done.returncode == 0, done.stderr
    table = done.stdout.split("Job stats:")[1]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}


def test_demo(demo_folder, demo_config):
    counts = job_counts(run_snakemake("--dry-run", cwd=demo_folder, config=demo_config))
    expected = {"fetch_source": 3, "prepare_genome": 1, "prepare_genes": 1, "assign_folds": 1}
    expected |= {"build_store": 2, "train": 4, "predict": 2, "predict_without_masks": 2}
    expected |= {
        "export_regions": 2,
        "score_elements": 2,
        "export_part": 4,
        "export_bigbeds": 2,
        "igv_page": 2,
    }
    expected |= {"build_hub": 1}
    assert expected.items() <= counts.items()
    assert not {"views", "summarise_views", "predict_shuffled", "score_motifs"} & set(counts)


def test_regions_by_false_discovery_rate_of_parts_and_motifs(demo_folder, demo_config):
    (demo_folder / "motifs.jaspar").write_text(">M1\n1 0\n0 1\n0 0\n0 0\n")
    demo_config["regions"] = {"select": "fdr", "other_tracks": ["sequence_part", "prior"]}
    demo_config["evaluation"]["motifs"] = {"path": "motifs.jaspar"}
    counts = job_counts(run_snakemake("--dry-run", cwd=demo_folder, config=demo_config))
    expected = {"predict_shuffled": 2, "export_regions": 2, "export_regions_of_part": 4}
    expected |= {"score_motifs": 2, "plot_motifs": 2}
    assert expected.items() <= counts.items()


def test_views_are_one_job_a_run(demo_folder, demo_config):
    demo_config["evaluation"]["views"] = {"500bp": {"window_length": 500}, "hic": {"signals": []}}
    counts = job_counts(run_snakemake("--dry-run", cwd=demo_folder, config=demo_config))
    assert (counts["views"], counts["summarise_views"]) == (4, 1)


def test_root_config_is_the_default_and_needs_no_network(tmp_path):
    shutil.copy(ROOT / "config.yaml", tmp_path)
    counts = job_counts(run_snakemake("--dry-run", cwd=tmp_path))
    # 4 files of the genome, 3 x 3 tracks and maps, one archive of labels, 6 FANTOM5 tracks; as
    # evidence 2 screens and 2 + 2 sets of regions
    expected = {"fetch_source": 26, "build_store": 3}
    # 3 cell lines x 11 models (3 with a mask) x 5 seeds
    expected |= {"train": 165, "predict": 45, "predict_without_masks": 120, "export_regions": 45}
    # H1 has no screen, but the regions that all cell lines share
    expected |= {"crispri_baselines": 2, "score_crispri": 30, "pool_crispri": 6, "plot_crispri": 6}
    expected |= {"score_references": 45, "compare_runs": 3, "compare_cell_lines": 15}
    # The parts of the masks of seq2exp_soft and seq2exp_hard; pages of the first seed are in the report.
    expected |= {
        "export_part": 60,
        "export_bigbeds": 45,
        "igv_page": 9,
        "igv_page_of_other_runs": 36,
    }
    assert "build_hub" not in counts
    assert expected.items() <= counts.items()


def test_what_browsers_get_can_be_left_out(demo_folder, demo_config):
    demo_config["browser"] = {"parts": False, "igv_loci": 0}
    counts = job_counts(run_snakemake("--dry-run", cwd=demo_folder, config=demo_config))
    assert counts["export_bigbeds"] == 2
    assert not {"export_part", "igv_page", "build_hub"} & set(counts)


def test_all_sources_are_a_target(tmp_path):
    shutil.copy(ROOT / "config.yaml", tmp_path)
    counts = job_counts(run_snakemake("--dry-run", "sources", cwd=tmp_path))
    # 20 that the models need, the RNA labels of H1, and 6 files of evidence
    assert counts == {"fetch_source": 27, "sources": 1, "total": 28}


def test_a_configfile_replaces_config_yaml(demo_folder, demo_config, tmp_path):
    shutil.copytree(demo_folder, tmp_path, dirs_exist_ok=True)
    shutil.copy(ROOT / "config.yaml", tmp_path)
    del demo_config["models"]["signal_linear"], demo_config["cell_lines"]["SimB"]
    done = run_snakemake("--dry-run", cwd=tmp_path, config=demo_config)
    assert job_counts(done)["train"] == 1  # nothing of config.yaml's cell lines, models and seeds
    assert "K562" not in done.stdout


def test_config_on_the_command_line_changes_config_yaml(tmp_path):
    shutil.copy(ROOT / "config.yaml", tmp_path)
    done = run_snakemake("--dry-run", "--config", "seeds=[7]", "results=elsewhere", cwd=tmp_path)
    assert job_counts(done)["train"] == 33
    assert "elsewhere/models/K562/CAGE/caduceus/fold11_seed7/model.ckpt" in done.stdout


def test_training_asks_for_a_gpu_and_for_its_time(tmp_path):
    shutil.copy(ROOT / "config.yaml", tmp_path)
    target = "results/models/K562/CAGE/seq2exp_soft/fold11_seed2/model.ckpt"
    done = run_snakemake("--dry-run", target, cwd=tmp_path)
    (resources,) = re.findall(r"^rule train:.*?resources: (.*?)$", done.stdout, re.M | re.S)
    assert "gpu=1" in resources
    assert "runtime=1020" in resources


@pytest.mark.parametrize(
    "module", ["cli", "config", "inputs", "resources", "sources", "doctor.command"]
)
def test_reading_the_snakefile_imports_no_torch(module):
    code = f"import sys, seq2exp.{module}; sys.exit(bool({{'torch', 'numba'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_model_on_the_mask_of_another_waits_for_that_of_the_same_run(demo_folder, demo_config):
    soft = demo_config["models"]["seq2exp_soft"]
    demo_config["models"] = {
        "masks": {"kind": "seq2exp_soft", **soft},
        "retrain": {"kind": "seq2exp_retrain", "mask_from": "masks", "fraction": 0.2},
    }
    demo_config["seeds"] = [2, 22]
    target = "results/demo/models/SimB/CAGE/{}/fold1_seed22/model.ckpt"
    model = target.format("retrain")
    done = run_snakemake("--dry-run", model, cwd=demo_folder, config=demo_config)
    assert job_counts(done)["train"] == 2
    (job,) = [part for part in done.stdout.split("rule train:")[1:] if model in part]
    assert target.format("masks") in re.search(r"input: (.*)", job)[1]
