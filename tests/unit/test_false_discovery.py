"""Where masks are cut: by hand, against a loop, and on masks of shuffled windows."""

import logging

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import TypeAdapter

from seq2exp.checkpoints import load_checkpoint, save_checkpoint
from seq2exp.errors import UserError
from seq2exp.false_discovery import choose_cut, cut_at_fdr
from seq2exp.masks import open_masks, write_masks
from seq2exp.model_config import ModelConfig
from seq2exp.models import InputShape, build_model
from seq2exp.null_masks import predict_shuffled_masks
from seq2exp.packing import unpack
from seq2exp.schemas import FDR_COLUMNS, read_table
from seq2exp.windows import read_window
from tests.tiny_models import SETTINGS

META = {"promoter_length": 4}


def stores(folder, real, null, genes=("a", "b")):
    """Mask stores of two genes; bases 3 to 6 of 10 are the promoter."""
    for name, values in (("real", real), ("null", null)):
        mask = np.ones((2, 10))
        mask[:, [0, 1, 2, 7, 8, 9]] = np.reshape(values, (2, 6))
        write_masks(folder / name, list(genes), {"mask": mask, "prior": mask / 2}, meta=META)
    return open_masks(folder / "real"), folder / "null"


REAL = [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.4, 0.3, 0.2, 0, 0]
NULL = [0.5, 0.4, 0.4, 0.3, 0.3, 0.2, 0.1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("rate", "value", "fdr"),
    [
        # bases at or above .5: 6 and 1; .4: 8 and 3; .3: 9 and 5; .2: 10 and 6; 0: 12 and 12
        (0.0, 0.6, 0),
        (0.16, 0.6, 0),
        (0.17, 0.5, 1 / 6),
        (0.4, 0.4, 3 / 8),
        (0.6, 0.2, 0.6),
        (1, 0, 1),
    ],
)
def test_cuts_by_hand(tmp_path, rate, value, fdr):
    cut, table = cut_at_fdr(*stores(tmp_path, REAL, NULL), rate)
    assert cut.value == pytest.approx(value, abs=1e-3)
    assert cut.fdr == pytest.approx(fdr)
    assert list(table.columns) == list(FDR_COLUMNS)
    (row,) = table[table["cut"] == 1].to_dict("records")
    assert row["value"] == pytest.approx(value, abs=1e-3)
    assert row["fdr"] == pytest.approx(fdr)
    # The promoter's eight bases are in neither count.
    assert table.iloc[0][["real_bases", "shuffled_bases"]].tolist() == [12, 12]
    assert table.iloc[-1]["real_bases"] == 1


def test_a_part_has_its_own_cut(tmp_path):
    cut, table = cut_at_fdr(*stores(tmp_path, REAL, NULL), 0.17, track="prior")
    assert cut.value == 0.25
    assert set(table["track"]) == {"prior"}


def test_the_rate_may_rise_and_fall(tmp_path):
    # At .9: 1 of 1; at .8: 1 of 3; at .1: 6 of 6. The smallest value below the rate counts.
    real = [0.9, 0.8, 0.8, 0.1, 0.1, 0.1, 0, 0, 0, 0, 0, 0]
    null = [0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0, 0, 0, 0, 0, 0]
    masks = stores(tmp_path, real, null)
    assert cut_at_fdr(*masks, 0.4)[0].value == pytest.approx(0.8, abs=1e-3)
    assert cut_at_fdr(*masks, 0.3)[0] == (np.inf, pytest.approx(1 / 3))


def test_against_a_loop(tmp_path):
    rng = np.random.default_rng(0)
    for _ in range(30):
        real, null = (rng.integers(0, 9, 12) / 8 for _ in range(2))
        masks = stores(tmp_path, real, null)
        rate = rng.random()
        slow = [v for v in set(real) if (null >= v).sum() <= rate * (real >= v).sum()]
        assert cut_at_fdr(*masks, rate)[0].value == min(slow, default=np.inf)


def test_nothing_is_called_where_nothing_passes_and_the_log_says_so(tmp_path, caplog):
    stores(tmp_path, NULL, NULL)
    with caplog.at_level(logging.INFO):
        cut = choose_cut(
            *(tmp_path / "real", tmp_path / "null", 0.5), track="mask", out_table=tmp_path / "t.tsv"
        )
    assert cut == np.inf
    assert "no value has a false-discovery rate of 0.5 or less (the lowest is 1)" in caplog.text
    table = read_table(tmp_path / "t.tsv", FDR_COLUMNS, text=("track",))
    assert table["cut"].sum() == 0
    assert table["fdr"].isna().sum() == 50  # above .5, where no base is


def test_masks_of_another_run(tmp_path):
    stores(tmp_path, REAL, NULL)
    real = open_masks(tmp_path / "real")
    write_masks(tmp_path / "null", ["c"], {"mask": np.zeros((1, 10)), "prior": np.zeros((1, 10))})
    with pytest.raises(UserError, match="does not belong to the masks of this run"):
        cut_at_fdr(real, tmp_path / "null", 0.1)


# ------------------------------------------------------------------------- shuffled windows

SHAPE = InputShape(window_length=2_000, promoter_length=200, n_gene_features=1)


def trained(kind, folder):
    config = TypeAdapter(ModelConfig).validate_python({"kind": kind, **SETTINGS[kind]})
    torch.manual_seed(0)
    meta = {"feature_names": ["promoter_activity"]}
    save_checkpoint(folder / "model.ckpt", build_model(config, SHAPE), config, SHAPE, meta)
    return folder / "model.ckpt"


@pytest.fixture
def predictions(tmp_path, toy_store):
    genes = toy_store.genes[["gene_id", "gene_name", "chrom", "tss", "strand"]].copy()
    genes["split"] = np.where(genes["gene_id"].isin(["G4", "G5", "G7"]), "test", "train")
    genes.assign(observed=0, predicted=0, mask_ratio=0).to_csv(
        tmp_path / "p.tsv", sep="\t", index=False
    )
    return tmp_path / "p.tsv"


def test_masks_of_shuffled_windows_keep_what_the_signals_say(tmp_path, toy_store, predictions):
    checkpoint = trained("seq2exp_soft", tmp_path)
    how = {"batch_size": 2, "device": "cpu"}
    predict_shuffled_masks(
        *(checkpoint, toy_store.path, predictions), out_masks=tmp_path / "m", **how
    )
    masks = open_masks(tmp_path / "m")
    assert masks.gene_ids == ["G4", "G5", "G7"]
    model = load_checkpoint(checkpoint).model
    for row, gene in enumerate([3, 4, 6]):
        batch = unpack(read_window(toy_store, gene), contact_bin=toy_store.contact_bin)
        with torch.no_grad():
            output = model(batch)
            parts = model.evidence(batch, output)
        np.testing.assert_allclose(masks.prior[row], parts["prior"][0], rtol=2e-3)
        differ = np.abs(masks.sequence_part[row] - parts["sequence_part"][0].numpy())
        assert np.median(differ) > 1e-3
        assert (masks.mask[row, 900:1_100] == 1).all()
    again = open_masks(tmp_path / "m").sequence_part.copy()
    one_by_one = {**how, "batch_size": 1}
    predict_shuffled_masks(
        *(checkpoint, toy_store.path, predictions), out_masks=tmp_path / "m", **one_by_one
    )
    np.testing.assert_allclose(open_masks(tmp_path / "m").sequence_part, again, atol=1e-3)


def test_models_without_a_mask_are_refused(tmp_path, toy_store, predictions):
    with pytest.raises(UserError, match="a caduceus has no masks"):
        predict_shuffled_masks(
            *(trained("caduceus", tmp_path), toy_store.path, predictions), out_masks=tmp_path / "m"
        )


def test_a_mask_of_signals_alone_has_no_discovery(tmp_path, toy_store, predictions):
    config = {"kind": "seq2exp_soft", **SETTINGS["seq2exp_soft"], "evidence": ["signals"]}
    config = TypeAdapter(ModelConfig).validate_python(config)
    save_checkpoint(tmp_path / "model.ckpt", build_model(config, SHAPE), config, SHAPE, {})
    for name in ("real", "null"):  # shuffling changes nothing
        predict_shuffled_masks(
            *(tmp_path / "model.ckpt", toy_store.path, predictions),
            out_masks=tmp_path / name,
            device="cpu",
            seed=len(name) if name == "real" else 0,
        )
    cut, _ = cut_at_fdr(open_masks(tmp_path / "real"), tmp_path / "null", 0.9)
    assert cut == (np.inf, 1)


def test_predictions_without_a_test_gene(tmp_path, toy_store, predictions):
    table = pd.read_csv(predictions, sep="\t").assign(split="train")
    table.to_csv(predictions, sep="\t", index=False)
    with pytest.raises(UserError, match="no gene in test"):
        predict_shuffled_masks(
            *(trained("seq2exp_soft", tmp_path), toy_store.path, predictions),
            out_masks=tmp_path / "m",
        )
