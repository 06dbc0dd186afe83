import json

import numpy as np
import pytest

from seq2exp.errors import UserError
from seq2exp.masks import MaskWriter, open_masks, write_masks


def ramps(genes=3, length=8):
    mask = np.arange(genes * length, dtype=np.float32).reshape(genes, length) / 32
    return {"mask": mask, "sequence_part": mask / 2, "prior": mask / 4}


def test_round_trip_row_by_row_in_any_order(tmp_path):
    values = ramps()
    with MaskWriter(tmp_path / "masks", ["a", "b", "c"], 8, meta={"model": "m"}) as writer:
        for row in (2, 0, 1):
            writer.put(row, **{name: track[row] for name, track in values.items()})
    store = open_masks(tmp_path / "masks")
    assert store.gene_ids == ["a", "b", "c"]
    assert store.length == store.meta["window_length"] == 8
    assert store.meta["model"] == "m"
    for name, track in store.tracks():
        # 1/128 steps below 1 are exact in float16
        np.testing.assert_array_equal(track, values[name])
    assert [name for name, _ in store.tracks()] == ["mask", "sequence_part", "prior"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["masks"]


def test_mask_alone(tmp_path):
    write_masks(tmp_path / "masks", ["a", "b", "c"], {"mask": ramps()["mask"]})
    store = open_masks(tmp_path / "masks")
    assert store.sequence_part is None
    assert store.prior is None
    assert store.mask.dtype == np.float16


def test_stored_arrays_are_read_only(tmp_path):
    write_masks(tmp_path / "masks", ["a", "b", "c"], ramps())
    with pytest.raises(ValueError, match="read-only"):
        open_masks(tmp_path / "masks").mask[0, 0] = 1


def test_a_failure_leaves_the_old_store_and_nothing_else(tmp_path):
    write_masks(tmp_path / "masks", ["a", "b", "c"], ramps())
    with (
        pytest.raises(ZeroDivisionError),
        MaskWriter(tmp_path / "masks", ["x"], 8, tracks=("mask",)) as writer,
    ):
        writer.put(0, mask=np.full(8, 1 / 0))
    assert open_masks(tmp_path / "masks").gene_ids == ["a", "b", "c"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["masks"]


def test_an_incomplete_store_is_not_kept(tmp_path):
    with (
        pytest.raises(AssertionError, match="2 rows never written"),
        MaskWriter(tmp_path / "masks", ["a", "b", "c"], 8, tracks=("mask",)) as writer,
    ):
        writer.put(1, mask=np.zeros(8))
    assert list(tmp_path.iterdir()) == []


def test_a_new_store_replaces_an_old_one(tmp_path):
    write_masks(tmp_path / "masks", ["a", "b", "c"], ramps())
    write_masks(tmp_path / "masks", ["x"], {"mask": np.ones((1, 4))})
    store = open_masks(tmp_path / "masks")
    assert store.gene_ids == ["x"]
    assert not (tmp_path / "masks" / "prior.npy").exists()


def test_no_genes_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="mask_splits"):
        MaskWriter(tmp_path / "masks", [], 8)


def test_damaged_stores_are_named(tmp_path):
    with pytest.raises(UserError, match=r"masks\.json is missing"):
        open_masks(tmp_path)
    store = tmp_path / "masks"
    write_masks(store, ["a", "b", "c"], ramps())
    np.save(store / "prior.npy", np.zeros((3, 7), dtype=np.float16))
    with pytest.raises(
        UserError, match=r"prior\.npy: float16 \(3, 7\) instead of float16 \(3, 8\)"
    ):
        open_masks(store)
    (store / "prior.npy").write_bytes(b"")
    with pytest.raises(UserError, match=r"prior\.npy: cannot be read"):
        open_masks(store)
    index = json.loads((store / "masks.json").read_text())
    (store / "masks.json").write_text(json.dumps({**index, "format": 99}))
    with pytest.raises(UserError, match="format 99, expected 1"):
        open_masks(store)
    (store / "masks.json").write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        open_masks(store)
