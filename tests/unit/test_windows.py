"""Windows as models read them, held against a slow reading of the arrays behind the toy files."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from seq2exp.errors import UserError
from seq2exp.packing import PackedBatch, unpack
from seq2exp.store import build_store
from seq2exp.windows import WindowDataset, read_window, split_rows

from ..conftest import CONTACT_BIN, GENES, IN_PEAKS, slow_window


@pytest.mark.parametrize("length", [2_000, 1_998, 640, 2])
@pytest.mark.parametrize("row", range(len(GENES)))
def test_window_is_exact_at_any_length(toy, toy_store, row, length):
    _, chrom, tss, _ = GENES[row]
    batch = unpack(read_window(toy_store, row, length), contact_bin=CONTACT_BIN)
    onehot, signals, black = slow_window(toy, chrom, tss, length)
    np.testing.assert_array_equal(batch.sequence[0].numpy(), onehot)
    np.testing.assert_array_equal(batch.signals[0].numpy(), signals.astype(np.float32))
    np.testing.assert_array_equal(batch.blacklist[0].numpy(), black)
    assert batch.index.tolist() == [row]
    assert batch.gene_features.shape == (1, 1)
    assert batch.sequence.dtype == batch.signals.dtype == torch.float32


@pytest.mark.parametrize("row", range(len(GENES)))
def test_peaks_are_exact(toy_store, row):
    _, chrom, tss, _ = GENES[row]
    packed = read_window(toy_store, row, 1_998)
    batch = unpack(packed, contact_bin=CONTACT_BIN, has_peaks=toy_store.has_peaks)
    expected = [position in IN_PEAKS[chrom] for position in range(tss - 999, tss + 999)]
    assert batch.peaks.tolist() == [expected]


def test_crop_equals_a_store_built_at_that_length(toy, toy_store, tmp_path):
    inputs = {**toy.inputs(), "window": toy.window.model_copy(update={"length": 640})}
    build_store(tmp_path / "short", **inputs)
    short = WindowDataset(tmp_path / "short", np.arange(len(GENES)), "CAGE")
    cropped = WindowDataset(toy_store.path, np.arange(len(GENES)), "CAGE", 640)
    for row in range(len(GENES)):
        direct = unpack(short.read([row]), contact_bin=CONTACT_BIN, has_peaks=True)
        crop = unpack(cropped.read([row]), contact_bin=CONTACT_BIN, has_peaks=True)
        for one, other in zip(direct, crop, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_overlapping_windows_are_stored_once(toy_store):
    runs = [tuple(run) for run in toy_store.meta["runs"]]
    assert runs == [
        ("chr1", -700, 2_100, 0),  # G1 over the start, G2 and G3
        ("chr1", 5_000, 9_000, 2_800),  # G4 and G5 touch at 7,000
        ("chr1", 10_900, 12_900, 6_800),  # G6 over the end
        ("chr2", 3_000, 5_000, 8_800),
        ("chr3", 4_050, 6_050, 10_800),
    ]
    assert toy_store.codes.shape == (12_800,)
    one, other = (read_window(toy_store, row) for row in (1, 2))
    for name in ("codes", "signals", "contacts", "contact_phase"):
        assert torch.equal(getattr(one, name), getattr(other, name))


def test_negative_start_has_a_phase_within_its_bin(toy_store):
    # G1: window start -700, so the first bin is [-1000, -500), and 300 of its bases are outside.
    assert toy_store.genes["contact_phase"].tolist()[0] == 300
    assert toy_store.contacts.shape[1] == 5
    assert toy_store.contacts[0, :2].tolist() == [0.0, 0.0]
    assert (toy_store.contacts[0, 2:] > 0).all()


def test_unpack_by_hand():
    packed = PackedBatch(
        codes=torch.tensor([[16, 1, 2, 3, 4, 5, 8 + 2, 16 + 8 + 4]], dtype=torch.uint8),
        signals=torch.tensor([[[i, 2 * i] for i in range(8)]], dtype=torch.float16),
        contacts=torch.tensor([[1.0, 2.0, 3.0]]),
        contact_phase=torch.tensor([2]),
        gene_features=torch.tensor([[0.5]]),
        label=torch.tensor([1.5]),
        index=torch.tensor([4]),
    )
    batch = unpack(packed, contact_bin=4)
    expected = torch.zeros(8, 4)
    expected[[0, 1, 2, 3, 6], [0, 1, 2, 3, 2]] = 1
    assert torch.equal(batch.sequence[0], expected)
    assert batch.signals[0, :, 2].tolist() == [1, 1, 2, 2, 2, 0, 3, 3]
    assert batch.signals[0, :, 1].tolist() == [0, 2, 4, 6, 8, 10, 12, 14]
    assert batch.blacklist[0].tolist() == [False] * 6 + [True] * 2
    assert batch.peaks is None
    seen = unpack(packed, contact_bin=4, has_peaks=True)
    assert seen.peaks[0].tolist() == [True] + [False] * 6 + [True]
    assert torch.equal(seen.sequence, batch.sequence)
    assert (batch.label.item(), batch.index.item()) == (1.5, 4)


def test_a_batch_is_its_windows_one_after_another(toy_store_dir):
    dataset = WindowDataset(toy_store_dir, np.array([6, 0, 3, 5]), "CAGE", 1_000)
    assert dataset.labels.shape == (4,)
    batch = dataset.read([2, 0, 1])
    assert batch.codes.shape == (3, 1_000)
    assert batch.index.tolist() == [3, 6, 0]
    assert batch.label.tolist() == dataset.labels[[2, 0, 1]].tolist()
    alone = [read_window(dataset.store, row, 1_000) for row in (3, 6, 0)]
    for name in ("codes", "signals", "contacts", "contact_phase", "gene_features"):
        together = torch.cat([getattr(window, name) for window in alone])
        assert torch.equal(getattr(batch, name), together)


def test_pickles_read_the_same(toy_store_dir):
    dataset = WindowDataset(toy_store_dir, np.array([6, 0, 3]), "CAGE", 1_000)
    assert len(pickle.dumps(dataset)) < 5_000
    again = pickle.loads(pickle.dumps(dataset))
    plain, other = (d.read([0, 1, 2]) for d in (dataset, again))
    assert all(torch.equal(a, b) for a, b in zip(plain, other, strict=True))


def test_rows_of_a_split_need_a_label(toy_store):
    folds = pd.DataFrame(
        {
            "gene_id": ["G8", "G1", "G4", "G7", "ELSEWHERE"],
            "fold2": ["train", "train", "test", "train", "train"],
        }
    )
    assert split_rows(toy_store, folds, 2, "train", "CAGE").tolist() == [0, 6, 7]
    # RNA: the table has G1 and G4, an empty cell for G7, and no G8.
    assert split_rows(toy_store, folds, 2, "train", "RNA").tolist() == [0]
    assert split_rows(toy_store, folds, 2, "test", "RNA").tolist() == [3]
    assert split_rows(toy_store, folds, 2, "valid", "RNA").tolist() == []
    with pytest.raises(UserError, match=r"no column 'fold1'; the columns are gene_id, fold2"):
        split_rows(toy_store, folds, 1, "train", "CAGE")
    with pytest.raises(UserError, match=r"no labels for assay 'ATAC'; it has CAGE, RNA"):
        split_rows(toy_store, folds, 2, "train", "ATAC")


@pytest.mark.parametrize("length", [2_002, 999])
def test_impossible_crop(toy_store, length):
    with pytest.raises(UserError, match=f"window_length {length} must be even and at most 2000"):
        read_window(toy_store, 0, length)


def test_real_window_matches_its_files(realdata, real_store):
    """Chromosome 20 of GM12878: one window against pyfaidx and pyBigWig read on their own."""
    import pyBigWig
    import pyfaidx

    row = int(np.flatnonzero(real_store.genes["gene_name"] == "DEFB126")[0])
    batch = unpack(read_window(real_store, row), contact_bin=real_store.contact_bin)
    start, end = 123_230 - 100_000, 123_230 + 100_000
    bases = str(pyfaidx.Fasta(str(Path(real_store.path).parent / "genome.fa"))["chr20"][start:end])
    assert "".join("NACGT"[i] for i in (batch.sequence[0] @ torch.arange(1.0, 5)).int()) == bases
    dnase = pyBigWig.open(str(realdata / "GM12878.DNase.bw")).values(
        "chr20", start, end, numpy=True
    )
    assert dnase.max() > 0
    np.testing.assert_array_equal(batch.signals[0, :, 1], dnase.astype(np.float16))
