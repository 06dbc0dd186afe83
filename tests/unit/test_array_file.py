import numpy as np
import pytest

from seq2exp.array_file import ArrayFile
from seq2exp.errors import UserError


@pytest.mark.parametrize(("dtype", "width"), [(np.uint8, ()), (np.float16, (2,))])
def test_pieces_are_the_slices(tmp_path, dtype, width):
    whole = np.random.default_rng(0).integers(0, 200, (5_000, *width)).astype(dtype)
    np.save(tmp_path / "a.npy", whole)
    file = ArrayFile.behind(np.load(tmp_path / "a.npy", mmap_mode="r"))
    starts = np.array([4_900, 0, 17, 17])
    out = np.zeros((4, 100, *width), dtype)
    file.read_into(out, starts)
    for piece, start in zip(out, starts, strict=True):
        np.testing.assert_array_equal(piece, whole[start : start + 100])


def test_a_file_that_shrank_is_an_error(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(1_000, np.uint8))
    file = ArrayFile.behind(np.load(tmp_path / "a.npy", mmap_mode="r"))
    with open(tmp_path / "a.npy", "r+b") as handle:
        handle.truncate(file.data_start + 950)
    file.read_into(np.zeros((1, 50), np.uint8), np.array([900]))
    with pytest.raises(UserError, match=r"a\.npy: ends 30 bytes too early; build it again"):
        file.read_into(np.zeros((2, 80), np.uint8), np.array([0, 900]))
