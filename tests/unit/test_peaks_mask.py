"""Seq2Exp's predictor on DNase peaks: the mask by hand, the same predictor, a whole training."""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from seq2exp.errors import UserError
from seq2exp.model_config import PeaksMaskConfig, Seq2ExpSoftConfig
from seq2exp.models import InputShape, build_model
from seq2exp.packing import Batch
from seq2exp.prediction import predict
from seq2exp.store import open_store
from seq2exp.windows import WindowDataset

from .tiny_training import run_training

SHAPE = InputShape(window_length=12, promoter_length=4, n_gene_features=2)
TINY = {"d_model": 8, "d_state": 2}


def bits(text):
    return torch.tensor([[letter == "1" for letter in row] for row in text.split()])


def made_batch(peaks, blacklist, seed=0):
    generator = torch.Generator().manual_seed(seed)
    windows, length = peaks.shape
    base = torch.randint(4, (windows, length), generator=generator)
    return Batch(
        sequence=torch.nn.functional.one_hot(base, 4).float(),
        signals=torch.rand(windows, length, 3, generator=generator),
        gene_features=torch.randn(windows, 2, generator=generator),
        blacklist=blacklist,
        label=torch.zeros(windows),
        index=torch.arange(windows),
        peaks=peaks,
    )


@pytest.fixture
def model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        return build_model(PeaksMaskConfig(**TINY, predictor_layers=2), SHAPE).eval()


# The promoter is bases 4 to 7: kept whether in a peak, blacklisted, or neither.
PEAKS = bits("110001000110 000000000000")
BLACKLIST = bits("010010000001 111111111111")
MASK = bits("100011110110 000011110000").float()
MASK[0, 6] = MASK[0, 7] = 1.0


def test_mask_by_hand(model):
    output = model(made_batch(PEAKS, BLACKLIST))
    assert output.mask.tolist() == MASK.tolist()
    assert (output.alpha, output.beta, output.kl) == (None, None, None)
    again = model.train()(made_batch(PEAKS, BLACKLIST)._replace(seeds=(1, 2)))
    assert torch.equal(again.prediction, output.prediction)  # nothing is drawn


def test_only_what_the_mask_keeps_is_read(model):
    batch = made_batch(PEAKS, BLACKLIST)
    before = model(batch).prediction
    other = made_batch(PEAKS, BLACKLIST, seed=9)
    kept = MASK.bool().unsqueeze(-1)
    outside = batch._replace(
        sequence=torch.where(kept, batch.sequence, other.sequence),
        signals=torch.where(kept, batch.signals, other.signals),
    )
    assert torch.equal(model(outside).prediction, before)
    for position, matters in enumerate(MASK[0].tolist()):
        signals = batch.signals.clone()
        signals[0, position] += 1.0
        changed = model(batch._replace(signals=signals)).prediction
        assert bool(changed[0] != before[0]) == bool(matters), position


def test_the_predictor_is_that_of_seq2exp_soft(model):
    """Without peaks, the mask is the promoter: Seq2Exp-soft has that mask as a setting."""
    config = Seq2ExpSoftConfig(**TINY, predictor_layers=2, mask_region="promoter")
    soft = build_model(config, SHAPE).eval()
    unknown = soft.load_state_dict(model.state_dict(), strict=False).unexpected_keys
    assert unknown == []
    batch = made_batch(torch.zeros_like(PEAKS), BLACKLIST)
    torch.testing.assert_close(model(batch).prediction, soft(batch).prediction, rtol=0, atol=1e-6)


def test_a_training_reports_the_mask_ratio(training_data, tmp_path):
    config = PeaksMaskConfig(**TINY, predictor_layers=1, signal_transform="log1p")
    metrics = run_training(training_data, tmp_path, model=config)
    assert np.isfinite(metrics["test"]["mse"])
    predict(
        *(tmp_path / "model.ckpt", training_data / "store", training_data / "folds.tsv"),
        out_table=tmp_path / "predictions.tsv",
        out_masks=None,
        device="cpu",
    )
    table = pd.read_csv(tmp_path / "predictions.tsv", sep="\t").set_index("gene_id")
    store = open_store(training_data / "store")
    windows = WindowDataset(training_data / "store", np.arange(len(store.genes)), "CAGE")
    for row, gene_id in enumerate(store.genes["gene_id"]):
        codes = windows.read([row]).codes[0].numpy()
        mask = ((codes & 16) != 0) & ((codes & 8) == 0)
        mask[400:600] = True
        assert table["mask_ratio"][gene_id] == pytest.approx(mask.mean())
    test = table["split"] == "test"
    assert metrics["test"]["mask_ratio"] == pytest.approx(table["mask_ratio"][test].mean())
    assert 0.2 < metrics["test"]["mask_ratio"] < 0.6


def test_a_store_without_peaks_is_refused(training_data, tmp_path):
    shutil.copytree(training_data, tmp_path / "data")
    path = tmp_path / "data" / "store" / "store.json"
    path.write_text(path.read_text().replace('"SimA.DNase.peaks.bed"', "null"))
    with pytest.raises(
        UserError, match=r"store: SimA has no DNase peaks, which a peaks_mask model"
    ):
        run_training(tmp_path / "data", tmp_path / "out", model=PeaksMaskConfig(**TINY))
    assert not (tmp_path / "out" / "model.ckpt").exists()
