"""Time, memory and disk of a config, against numbers worked by hand."""

import copy
import json
import math

import pandas as pd
import pytest
import yaml

from seq2exp import resources
from seq2exp.cli import main
from seq2exp.config import parse_config
from seq2exp.errors import UserError
from seq2exp.plan.estimate import choose_device, make_plan, run_seconds
from seq2exp.plan.genes import Genes, counted, genes_of
from seq2exp.plan.step_times import (
    Cost,
    Size,
    StepTime,
    along_window,
    cost_of,
    packaged_step_times,
    read_step_times,
    width_exponent,
)
from seq2exp.schemas import STEP_TIME_COLUMNS
from tests.unit.any_model import NETWORKS, config_of
from tests.unit.test_config import MINIMAL


def measured(kind, length, width, layers, step, predict, mb=100.0, device="cpu"):
    """One measured model, in figures of one window."""
    return StepTime(kind, device, "here", length, width, layers, step, predict, mb)


TIMES = [
    measured("caduceus", 1_000, 16, 4, 0.2, 0.05),
    measured("caduceus", 3_000, 16, 4, 0.6, 0.15, 300.0),
    measured("caduceus", 1_000, 32, 4, 0.6, 0.10, 200.0),
    measured("prism", 1_000, 64, 12, 5.0, 1.0, 900.0),
]


def size(length, width, layers, read=None):
    return Size(length, read or length, width, layers)


# ------------------------------------------------------------------------- step times


@pytest.mark.parametrize(
    ("length", "seconds"),
    [
        (1_000, 1.0),
        (2_000, 3.0),  # half-way between 1 and 5
        (3_000, 5.0),
        (500, 1.0),  # an upper bound
        (6_000, 5.0 * 2 ** (math.log(5) / math.log(3))),  # the power; the line is at 11
    ],
)
def test_along_the_window(length, seconds):
    assert along_window(length, [1_000, 3_000], [1.0, 5.0]) == pytest.approx(seconds)


def test_beyond_the_window_a_start_is_paid_once():
    # 1 s and 1 s a kb: the power that goes through the two would be 8.2
    assert along_window(9_000, [1_000, 3_000], [2.0, 4.0]) == pytest.approx(10)
    assert along_window(9_000, [1_000, 3_000], [0.0, 4.0]) == pytest.approx(16)


def test_one_measured_length_goes_on_in_proportion():
    assert along_window(4_000, [1_000], [2.0]) == 8.0
    assert along_window(10, [1_000], [2.0]) == 2.0


def test_width_exponent_is_that_of_models_that_differ_in_width_alone():
    # 0.6 / 0.2 at twice the width
    assert width_exponent(TIMES[:3], "step_seconds") == pytest.approx(math.log2(3))
    assert width_exponent(TIMES[:3], "predict_seconds") == pytest.approx(1)
    assert width_exponent(TIMES[:2], "step_seconds") == 1  # nothing to fit
    longer = [*TIMES[:3], TIMES[1]._replace(d_model=32, step_seconds=2.4)]
    assert width_exponent(longer, "step_seconds") == pytest.approx(2)  # at 3,000 bp alone
    halved = [TIMES[0], TIMES[2]._replace(layers=2, step_seconds=0.3)]
    assert width_exponent(halved, "step_seconds") == pytest.approx(math.log2(3))


def test_a_measured_size_is_given_as_it_was_measured():
    cost = cost_of("caduceus", size(3_000, 16, 4), "cpu", TIMES)
    assert cost == Cost(pytest.approx(0.6), pytest.approx(0.15), pytest.approx(300), "measured")


def test_other_sizes_are_scaled():
    between = cost_of("caduceus", size(2_000, 16, 8), "cpu", TIMES)
    # half-way from 0.2 to 0.6, with twice the layers
    assert between == Cost(
        pytest.approx(0.8), pytest.approx(0.2), pytest.approx(400), "between measured sizes"
    )
    # From width 32, at 1,000 bp alone, in proportion to the length; twice as wide is 3 times as long.
    beyond = cost_of("caduceus", size(4_000, 64, 4), "cpu", TIMES)
    assert beyond.step_seconds == pytest.approx(0.6 * 4 * 3)
    assert beyond.predict_seconds == pytest.approx(0.1 * 4 * 2)
    assert beyond.step_mb == pytest.approx(200 * 4 * 2)
    assert beyond.basis == "beyond measured sizes"


def test_a_kind_that_was_not_measured_is_taken_as_the_nearest_layer_for_layer():
    small = cost_of("mamba", size(1_000, 16, 2), "cpu", TIMES)
    assert (small.step_seconds, small.basis) == (pytest.approx(0.1), "as caduceus")
    # What it reads counts, not the window.
    some = cost_of("epinformer", size(9_999, 16, 2, read=3_000), "cpu", TIMES)
    assert (some.step_seconds, some.basis) == (pytest.approx(0.3), "as caduceus")
    large = cost_of("mamba", size(1_000, 64, 6), "cpu", TIMES)
    assert (large.step_seconds, large.basis) == (pytest.approx(2.5), "as prism")


def test_a_gpu_that_was_not_measured_is_counted():
    cost = cost_of("seq2exp_soft", size(200_000, 128, 8), "gpu", TIMES)
    assert 8 * cost.step_seconds == pytest.approx(0.184)
    assert 8 * cost.predict_seconds == pytest.approx(0.064)
    assert (cost.step_mb, cost.basis) == (None, "counted, not measured")
    quarter = cost_of("caduceus", size(100_000, 128, 4), "gpu", TIMES)
    assert quarter.step_seconds == pytest.approx(cost.step_seconds / 4)
    own = [*TIMES, measured("caduceus", 100_000, 128, 4, 0.01, 0.003, device="gpu")]
    assert cost_of("caduceus", size(100_000, 128, 4), "gpu", own).step_seconds == 0.01
    with pytest.raises(UserError, match=r"no step time was measured on a cpu; measure with"):
        cost_of("caduceus", size(1_000, 16, 4), "cpu", own[-1:])


# ------------------------------------------------------------------------- the table


def write_times(path, **changes):
    row = {
        "kind": "caduceus", "device": "cpu", "machine": "here", "window_length": 1_000, "d_model": 16,
        "layers": 4, "batch": 2, "step_seconds": 0.4, "predict_seconds": 0.1, "step_mb": 200,
        "date": "2026-01-01", "command": "python",
    }  # fmt: skip
    pd.DataFrame([row | changes]).to_csv(path, sep="\t", index=False)
    return path


def test_measurements_are_read_in_figures_of_one_window(tmp_path):
    (time,) = read_step_times(write_times(tmp_path / "t.tsv"))
    assert time == measured("caduceus", 1_000, 16, 4, 0.2, 0.05)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step_seconds": 0}, "step_seconds must be above 0 in every row; measure again"),
        ({"batch": "two"}, r"line 2, column 'batch': 'two' is not a number"),
        ({"layers": ""}, "layers must be above 0"),
    ],
)
def test_bad_measurements_are_one_line(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        read_step_times(write_times(tmp_path / "t.tsv", **changes))


def test_the_packaged_table_says_how_each_row_was_measured():
    table = pd.read_csv(packaged_step_times(), sep="\t")
    assert tuple(table.columns) == STEP_TIME_COLUMNS
    assert set(table["kind"]) <= set(NETWORKS)
    assert not table.duplicated(["kind", "device", "window_length", "d_model"]).any()
    for row, time in zip(table.itertuples(), read_step_times(packaged_step_times()), strict=True):
        assert row.command.startswith("python -m benchmarks.step_times ")
        for part in (
            f"--kinds {row.kind}",
            f"--lengths {row.window_length}",
            f"--widths {row.d_model}",
        ):
            assert part in row.command
        # A step is at least a prediction and a backward pass.
        assert time.step_seconds > 1.5 * time.predict_seconds > 0
    assert {"seq2exp_soft", "caduceus"} <= set(table["kind"])


# ------------------------------------------------------------------------- genes


def new_config(**parts):
    raw = {
        **MINIMAL,
        "models": {
            "caduceus": {"d_model": 16},
            "linear": {"kind": "signal_linear", "spans": [100]},
        },
        "window": {"length": 1_000, "promoter_length": 200},
        "seeds": [1, 2],
        "training": {"steps": 100, "batch_size": 4, "warmup_steps": 10, "accelerator": "cpu"},
    }
    return parse_config({**raw, **parts})


def test_assumed_genes_cover_what_the_papers_windows_do(tmp_path):
    config = new_config(window={"length": 200_000}, results=str(tmp_path))
    genes = genes_of(config)
    assert (genes.total, genes.train, genes.valid) == (
        18_377,
        pytest.approx(15_314, abs=1),
        genes.test,
    )
    assert genes.covered == pytest.approx(1.57e9, rel=0.01)
    assert genes_of(config, 60).covered == pytest.approx(60 * 200_000, rel=0.01)
    assert genes_of(config, 60).source == "as given"


def test_genes_are_counted_where_they_are_known(tmp_path):
    folder = tmp_path / "reference" / "toy"
    folder.mkdir(parents=True)
    genes = pd.DataFrame(
        {"gene_id": list("abcd"), "chrom": ["1", "1", "1", "2"], "tss": [3_000, 100, 600, 50]}
    )
    folds = pd.DataFrame(
        {"gene_id": list("abcd"), "fold1": ["train", "train", "valid", "test"],
         "fold2": ["train", "", "valid", "valid"]}
    )  # fmt: skip
    config = new_config(results=str(tmp_path), folds={"scheme": "paper", "run": [1, 2]})
    found = counted(genes, folds, config)
    # chr1: 100 and 600 share half a window, 3,000 is apart; chr2: one
    assert found[:5] == (4, 1.5, 1.5, 0.5, 1_500 + 1_000 + 1_000)
    genes.to_csv(folder / "genes.tsv", sep="\t", index=False)
    folds.to_csv(folder / "folds.tsv", sep="\t", index=False)
    assert genes_of(config) == found
    assert genes_of(config, 10).total == 10
    assert found.of(("valid", "test", "valid")) == 2


# ------------------------------------------------------------------------- the plan

GENES = Genes(1_500, 1_000, 100, 100, 50_000, "by hand")


def test_seconds_of_a_run_by_hand():
    cost = Cost(0.2, 0.05, None, "")
    config = new_config()
    # 100 steps of 4; 250 steps an epoch, so one validation of 100 genes; then 100 + 100 measured and
    # 1,200 predicted
    assert run_seconds(config, GENES, cost) == pytest.approx((80 + 5, 70))
    config = new_config(evaluation={"views": {"a": {"signals": []}, "b": {"mask": "promoter"}}})
    assert run_seconds(config, GENES, cost) == pytest.approx((85, 80))
    often = {"steps": 100, "batch_size": 4, "warmup_steps": 10, "validate_every": 0.1}
    # every 25 steps
    assert run_seconds(new_config(training=often), GENES, cost) == pytest.approx((80 + 4 * 5, 70))


def test_a_plan_by_hand():
    plan = make_plan(new_config(), GENES, TIMES, "cpu")
    network, linear = plan.models
    assert (network.runs, network.steps, network.basis) == (2, 100, "measured")
    assert network.step_seconds == pytest.approx(0.8)
    assert network.run_hours == pytest.approx(155 / 3600)
    assert network.device_hours == pytest.approx(2 * 155 / 3600)
    config = new_config()
    memory = resources.training_mb(config.models["caduceus"], config.window, config.training)
    assert memory <= network.memory_mb < memory + 1
    assert (linear.steps, linear.device_hours, linear.basis) == (0, 0, "no steps: minutes")
    total = plan.to_json()["total"]
    assert total["runs"] == 4
    assert total["device_hours"] == pytest.approx(2 * 155 / 3600)


def test_gpus_share_the_steps_and_not_what_follows():
    training = {"steps": 100, "batch_size": 4, "warmup_steps": 10, "devices": 2}
    times = [time._replace(device="gpu") for time in TIMES]
    config = new_config(training=training)
    network = make_plan(config, GENES, times, "gpu").models[0]
    faster = 1 + resources.PARALLEL_EFFICIENCY
    assert network.run_hours == pytest.approx((85 / faster + 70) / 3600)
    assert network.device_hours == pytest.approx(2 * (2 * 85 / faster + 70) / 3600)
    # On a CPU processes share the job's cores.
    assert make_plan(config, GENES, TIMES, "cpu").models[0].run_hours == pytest.approx(155 / 3600)


def test_memory_of_a_gpu_is_that_of_the_windows_in_it_at_once():
    times = [measured("caduceus", 1_000, 16, 4, 0.01, 0.002, 50.0, "gpu")]
    whole, parts = (
        make_plan(
            new_config(training={"batch_size": 8, "accumulate": n}), GENES, times, "gpu"
        ).models[0]
        for n in (1, 4)
    )
    state = whole.parameters * 16 / 1e6
    assert whole.device_memory_mb == pytest.approx(8 * 50 + state)
    assert parts.device_memory_mb == pytest.approx(2 * 50 + state)
    assert make_plan(new_config(), GENES, TIMES, "gpu").models[0].device_memory_mb is None


def test_disk_by_hand():
    models = {"seq2exp_soft": {"d_model": 16, "window_length": 800}, "caduceus": {"d_model": 16}}
    views = {"views": {"a": {"signals": []}}}
    config = new_config(
        models=models, evaluation=views, prediction={"mask_splits": ["valid", "test"]}
    )
    plan = make_plan(config, GENES, TIMES, "cpu")
    disk = {part.artefact: (part.number, part.bytes) for part in plan.disk}
    parameters = [model.parameters for model in plan.models]
    masks = 2 * 200 * 800
    assert disk == {
        # 5 bytes a base, and 1,000 / 5,000 bp in bins, two more at most, of 4 bytes
        "window stores": (1, 5 * 50_000 + 1_500 * 2 * 4),
        "checkpoints": (4, 4 * 2 * sum(parameters)),
        "predictions": (4, 4 * 1_200 * 80),
        "masks": (2, masks * 6),
        "masks as bigWig": (2, masks * 4.5),
        "while training, each": (1, 16 * max(parameters)),
        "views": (4, 4 * 100 * 2 * 50),
    }
    assert plan.to_json()["total"]["disk_bytes"] == sum(size for _, size in disk.values())


def test_parameters_are_counted():
    small = make_plan(new_config(), GENES, TIMES, "cpu").models[0].parameters
    # embedding, four layers, final norm, head of 16 + 9 -> 16 -> 16 -> 1
    E, N, R, d = 32, 16, 1, 16
    direction = E * 4 + E + E * (R + 2 * N) + R * E + E + E * N + E
    layer = d * 2 * E + E * d + 2 * direction + d
    head = (d + 9) * d + d + d * d + d + d + 1
    assert small == 4 * d + d + 4 * layer + d + head


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_every_kind_has_a_plan(kind, device):
    if kind == "enformer":
        pytest.importorskip("enformer_pytorch")
    models = {"mine": config_of(kind).model_dump(mode="json", exclude={"source"})}
    if kind == "seq2exp_retrain":
        models["mine"] |= {"fraction": 0.5}
        models[models["mine"]["mask_from"]] = config_of("seq2exp_soft").model_dump(mode="json")
    if kind == "seq2exp_gated":
        models["mine"] |= {"mask_ratio": 0.3}  # the promoter is a fifth of the window
    raw = copy.deepcopy(MINIMAL)
    raw["cell_lines"]["A"]["peaks"] = {"path": "a.bed"}
    config = new_config(models=models, cell_lines=raw["cell_lines"])
    plan = make_plan(config, GENES, TIMES, device)
    for model in plan.models:
        assert 0 < model.step_seconds < 1e3
        assert 0 < model.run_hours <= model.device_hours
        assert model.parameters > 500


def test_the_device_is_the_configs():
    assert choose_device(new_config().training) == "cpu"
    assert choose_device(new_config(training={"accelerator": "gpu"}).training) == "gpu"


# ------------------------------------------------------------------------- the command


@pytest.fixture
def config_file(tmp_path):
    raw = new_config(results=str(tmp_path)).model_dump(mode="json", exclude_unset=True)
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(raw))
    return tmp_path / "my.yaml"


def test_command_with_own_measurements(config_file, tmp_path, capsys):
    times = write_times(tmp_path / "t.tsv")
    out = tmp_path / "plan.json"
    main(
        ["plan", str(config_file), "--measured", str(times), "--genes", "1200", "--json", str(out)]
    )
    shown = capsys.readouterr().out
    assert "caduceus" in shown
    assert "no steps: minutes" in shown
    assert "COUNTED" not in shown
    found = json.loads(out.read_text())
    # 1,000 genes to train, 100 to validate and to test: as by hand
    assert found["models"][0]["run_hours"] == pytest.approx(155 / 3600)
    assert found["genes"]["source"] == "as given"
    assert max(map(len, shown.splitlines()[:20])) <= 100


def test_command_says_that_gpu_times_are_counted(config_file, capsys):
    main(["plan", str(config_file), "--device", "gpu"])
    shown = capsys.readouterr().out
    assert "counted, not measured" in shown
    assert "COUNTED, NOT MEASURED: 184 ms" in shown
    assert "assumed: the paper's" in shown


def test_command_with_bad_options_ends_in_one_line(config_file, tmp_path, capsys):
    for options, message in (
        (["--genes", "0"], "--genes 0: give a number of genes above 0"),
        (["--measured", str(tmp_path / "absent.tsv")], "absent.tsv"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(["plan", str(config_file), *options])
        assert message in str(stopped.value)
        assert "\n" not in str(stopped.value)
