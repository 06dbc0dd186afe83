"""Memory and time estimates against hand-worked numbers, and their caps."""

import pytest

from seq2exp import resources
from seq2exp.cluster_config import Layout
from seq2exp.config import ResourcesConfig, WindowConfig
from seq2exp.evaluation_config import EffectsConfig
from seq2exp.model_config import (
    CaduceusConfig,
    Seq2ExpSoftConfig,
    SignalLinearConfig,
)
from seq2exp.training_config import TrainingConfig

CAPS = ResourcesConfig(max_mem_mb=64_000, max_runtime_min=1_440)
FULL = WindowConfig()
GPU = TrainingConfig(accelerator="gpu")
CPU = TrainingConfig(accelerator="cpu")
SMALL = CaduceusConfig(layers=2, d_model=16, window_length=10_000)


@pytest.fixture
def two_mb(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "codes.npy").write_bytes(bytes(1_500_000))
    (tmp_path / "table.tsv").write_bytes(bytes(500_000))
    return [tmp_path / "store", tmp_path / "table.tsv"]


def test_size_counts_directories(two_mb):
    assert resources.size_mb(two_mb) == 2.0


def test_a_file_that_is_not_there_yet_is_not_taken_for_an_empty_one(two_mb, tmp_path):
    later = str(tmp_path / "later.fa")
    with pytest.raises(FileNotFoundError) as error:
        resources.size_mb([*two_mb, later])
    assert error.value.filename == later  # by which Snakemake knows to ask again


def test_reading_takes_twice_the_input_and_ten_minutes():
    assert resources.reading_mb(0) == 2_000
    assert resources.reading_mb(1_500) == 5_000
    assert resources.reading_minutes(0) == 10
    assert resources.reading_minutes(100) == 12
    assert resources.reading_minutes(2, mb_per_minute=0.5) == 14


def test_what_is_asked_for_grows_with_the_attempt_up_to_the_cap():
    assert [resources.ask_memory(2_000.1, attempt, CAPS) for attempt in (1, 2, 3)] == [
        2_001,
        4_001,
        6_001,
    ]
    # later attempts are pieces of a long training
    assert resources.ask_memory(2_000.1, 9, CAPS) == 6_001
    assert resources.ask_memory(40_000, 2, CAPS) == 64_000
    assert [resources.ask_runtime(10.5, attempt, CAPS) for attempt in (1, 2, 9)] == [11, 21, 95]
    assert resources.ask_runtime(1_000, 2, CAPS) == 1_440


def test_only_a_network_with_accelerator_gpu_asks_for_a_gpu():
    assert resources.needs_gpu(CaduceusConfig(), GPU) == 1
    assert resources.needs_gpu(SignalLinearConfig(), GPU) == 0
    assert resources.needs_gpu(CaduceusConfig(), CPU) == 0
    assert resources.needs_gpu(CaduceusConfig(), TrainingConfig(accelerator="auto")) == 0


def test_training_on_a_cpu_needs_the_memory_of_its_passes():
    # 80,000 bases with 50 + 32 x 16 + 10 x 16 x 2 layers float32 numbers each, beside 2 GB and
    # 5 batches of 0.4 MB
    assert resources.training_mb(SMALL, FULL, CPU) == pytest.approx(2_002 + 282.24)
    assert resources.training_mb(SMALL, FULL, GPU) == 4_002


@pytest.mark.parametrize("how", [{"devices": 2, "accumulate": 2}, {"devices": 2, "nodes": 2}])
def test_memory_is_that_of_the_processes_of_a_node(how):
    # each 2 of the 8 windows at once: a quarter of the above, in 2 processes
    recipe = CPU.model_copy(update=how)
    assert resources.training_mb(SMALL, FULL, recipe) == pytest.approx(2 * (2_000.5 + 70.56))
    recipe = GPU.model_copy(update=how)
    assert resources.training_mb(SMALL, FULL, recipe) == pytest.approx(2 * 4_000.5)


def test_prediction_keeps_nothing():
    # 40,000 bases with 50 + 32 x 16 numbers
    assert resources.prediction_mb(SMALL, FULL, CPU, 4) == pytest.approx(2_001 + 89.92)
    assert resources.prediction_mb(SMALL, FULL, GPU, 4) == 4_001


def test_training_time_of_the_paper_on_gpus():
    # 50,000 steps at 50 a minute, and 20 minutes; each further GPU adds 0.8
    model = Seq2ExpSoftConfig()
    minutes = [
        resources.training_minutes(model, FULL, GPU.model_copy(update=how))
        for how in ({}, {"devices": 2}, {"devices": 4, "nodes": 2}, {"accumulate": 8})
    ]
    assert minutes == pytest.approx([1_020, 20 + 1_000 / 1.8, 20 + 1_000 / 6.6, 1_020])


def test_processes_on_one_node_share_its_cores():
    # 50,000 steps of half of full size at 0.2 a minute
    minutes = [
        resources.training_minutes(CaduceusConfig(), FULL, CPU.model_copy(update=how))
        for how in ({}, {"devices": 2}, {"devices": 2, "nodes": 2})
    ]
    assert minutes == pytest.approx([125_020, 125_020, 20 + 125_000 / 1.8])


def test_a_quarter_of_the_window_takes_a_quarter_of_the_time():
    whole = CaduceusConfig(layers=1, d_model=16)
    quarter = whole.model_copy(update={"window_length": 50_000})
    minutes = [resources.training_minutes(model, FULL, CPU) - 20 for model in (whole, quarter)]
    assert minutes[0] == pytest.approx(4 * minutes[1])


def test_predicting_the_papers_genes():
    # a store of 1.6 Gb at 5 bytes has 4 Gb of windows: 2,500 batches at full size
    model = Seq2ExpSoftConfig()
    assert resources.prediction_minutes(model, FULL, GPU, 8_000) == pytest.approx(170 + 2_500 / 150)
    assert resources.prediction_minutes(model, FULL, CPU, 8_000) == pytest.approx(170 + 2_500 / 0.6)
    half = model.model_copy(update={"window_length": 100_000})
    assert resources.prediction_minutes(half, FULL, GPU, 8_000) == pytest.approx(170 + 1_250 / 150)


def test_effects_of_the_elements_of_the_papers_genes():
    # 15% of the genes: twice as they are, three passes for a gradient, 10 elements x (1 + 4)
    model, effects = Seq2ExpSoftConfig(), EffectsConfig(per_gene=10, shuffles=4)
    minutes = resources.effects_minutes(model, FULL, GPU, effects, 8_000)
    assert minutes == pytest.approx(170 + 0.15 * 55 * 2_500 / 150)
    none = EffectsConfig(per_gene=0)
    minutes = resources.effects_minutes(model, FULL, GPU, none, 8_000)
    assert minutes == pytest.approx(170 + 0.15 * 5 * 2_500 / 150)


def test_memory_of_effects_is_that_of_predicting_or_of_one_gradient():
    model = Seq2ExpSoftConfig()
    assert resources.effects_mb(model, FULL, GPU, 8) == resources.prediction_mb(model, FULL, GPU, 8)
    one = CPU.model_copy(update={"batch_size": 1})
    assert resources.effects_mb(model, FULL, CPU, 1) == resources.training_mb(model, FULL, one)
    assert resources.effects_mb(model, FULL, CPU, 8) == resources.prediction_mb(model, FULL, CPU, 8)


def test_the_regression_takes_no_steps_and_keeps_no_activations():
    model = SignalLinearConfig()
    several = GPU.model_copy(update={"devices": 4, "nodes": 2})
    assert resources.training_minutes(model, FULL, GPU) == 20
    assert resources.training_mb(model, FULL, GPU) == 2_040 + 320  # 1.6 Mb unpacked
    assert resources.prediction_minutes(model, FULL, GPU, 500) == 20
    assert resources.training_layout(model, several) == Layout(1, 1, 0)


def test_a_training_has_a_process_a_gpu_on_each_node():
    model, how = CaduceusConfig(), {"devices": 4, "nodes": 2}
    assert resources.training_layout(model, GPU.model_copy(update=how)) == Layout(2, 4, 4)
    assert resources.training_layout(model, CPU.model_copy(update=how)) == Layout(2, 4, 0)


def test_a_training_longer_than_the_walltime_has_several_pieces():
    # 1,020 minutes
    model = Seq2ExpSoftConfig()
    pieces = {
        minutes: resources.training_pieces(
            model, FULL, GPU, ResourcesConfig(max_runtime_min=minutes)
        )
        for minutes in (2_880, 1_020, 1_019, 240, 1)
    }
    assert pieces == {2_880: 1, 1_020: 1, 1_019: 2, 240: 5, 1: resources.MOST_PIECES}


def test_a_training_is_warned_unless_its_walltime_is_short():
    assert resources.warning_option(ResourcesConfig(max_runtime_min=20)) == "--signal=TERM@120"
    assert resources.warning_option(ResourcesConfig(max_runtime_min=19)) == ""
