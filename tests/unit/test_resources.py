"""Memory and time estimates against hand-worked numbers, and their caps."""

import pytest

from seq2exp import resources
from seq2exp.config import ResourcesConfig, WindowConfig
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
        resources.memory_mb([*two_mb, later], 1, CAPS)
    assert error.value.filename == later  # by which Snakemake knows to ask again


def test_memory_grows_with_input_and_attempt(two_mb):
    assert resources.memory_mb([], 1, CAPS) == 2_000
    assert resources.memory_mb(two_mb, 1, CAPS) == 2_004
    assert resources.memory_mb(two_mb, 3, CAPS) == 3 * 2_004


def test_runtime_grows_with_input_and_attempt(two_mb):
    assert resources.runtime_min([], 1, CAPS) == 10
    assert resources.runtime_min(two_mb, 2, CAPS, mb_per_minute=0.5) == 2 * (10 + 4)


def test_nothing_passes_the_caps(two_mb):
    tight = ResourcesConfig(max_mem_mb=100, max_runtime_min=5)
    assert resources.memory_mb(two_mb, 1, tight) == 100
    assert resources.runtime_min(two_mb, 1, tight) == 5
    model = Seq2ExpSoftConfig()
    assert resources.training_memory_mb(model, FULL, CPU, 9, tight) == 100
    assert resources.training_runtime_min(model, FULL, CPU, 9, tight) == 5


def test_only_a_network_with_accelerator_gpu_asks_for_a_gpu():
    assert resources.needs_gpu(CaduceusConfig(), GPU) == 1
    assert resources.needs_gpu(SignalLinearConfig(), GPU) == 0
    assert resources.needs_gpu(CaduceusConfig(), CPU) == 0
    assert resources.needs_gpu(CaduceusConfig(), TrainingConfig(accelerator="auto")) == 0


def test_training_memory_on_a_cpu_is_the_activations():
    # 24 float32 tensors of 8 x 10,000 x (16 x 2 layers), beside 2 GB and 5 batches of 0.4 MB
    expected = 2_002 + 4 * 24 * 8 * 10_000 * 32 / 1e6
    assert resources.training_memory_mb(SMALL, FULL, CPU, 1, CAPS) == pytest.approx(expected, abs=1)
    assert resources.training_memory_mb(SMALL, FULL, GPU, 1, CAPS) == 4_002


def test_training_time_of_the_paper_on_a_gpu_is_under_a_day():
    # 50,000 steps at 50 a minute, and 20 minutes
    assert resources.training_runtime_min(Seq2ExpSoftConfig(), FULL, GPU, 1, CAPS) == 1_020
    assert resources.training_runtime_min(Seq2ExpSoftConfig(), FULL, GPU, 2, CAPS) == 1_440


def test_a_quarter_of_the_window_takes_a_quarter_of_the_time():
    whole = CaduceusConfig(layers=1, d_model=16)
    quarter = whole.model_copy(update={"window_length": 50_000})
    loose = ResourcesConfig(max_runtime_min=10**9)
    minutes = [
        resources.training_runtime_min(model, FULL, CPU, 1, loose) - 20
        for model in (whole, quarter)
    ]
    assert minutes[0] == pytest.approx(4 * minutes[1], abs=4)


def test_the_regression_takes_no_steps_and_keeps_no_activations():
    assert resources.training_runtime_min(SignalLinearConfig(), FULL, GPU, 1, CAPS) == 20
    assert resources.training_memory_mb(SignalLinearConfig(), FULL, GPU, 1, CAPS) == 2_040


def test_memory_stops_growing_after_three_attempts(two_mb):
    # later attempts are pieces of a long training
    assert resources.memory_mb(two_mb, 9, CAPS) == 3 * 2_004
    assert resources.training_memory_mb(SMALL, FULL, GPU, 20, CAPS) == 3 * 4_002


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
