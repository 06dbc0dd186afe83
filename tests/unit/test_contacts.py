"""Contacts of bins with a TSS: against the written matrix and the power law's closed form."""

from types import SimpleNamespace

import numpy as np
import pytest

from seq2exp.config import PowerLaw
from seq2exp.contacts import (
    ContactMap,
    bins_of_window,
    check_vectors,
    open_contact_map,
    power_law_contacts,
    tss_contacts,
)
from seq2exp.errors import UserError
from seq2exp.hictk import load_hictkpy

from ..conftest import CONTACT_BIN, SIZES

LAW = PowerLaw(bin=CONTACT_BIN)


@pytest.mark.parametrize("length", [2, 400, 500, 2_000, 2_002, 200_000])
@pytest.mark.parametrize("bin_size", [1, 200, 500, 5_000])
def test_bins_of_a_window_at_every_phase(length, bin_size):
    touched = [
        (phase + length - 1) // bin_size + 1 for phase in range(0, bin_size, max(bin_size // 50, 1))
    ]
    touched.append((bin_size - 1 + length - 1) // bin_size + 1)
    assert bins_of_window(length, bin_size) == max(touched)


def test_paper_size_is_41_bins():
    assert bins_of_window(200_000, 5_000) == 41


@pytest.mark.parametrize(
    ("chrom", "tss", "start", "end"),
    [
        ("chr1", 6_000, 5_000, 7_000),
        ("chr1", 300, -700, 1_300),
        ("chr1", 11_900, 10_900, 12_900),
        ("chr2", 4_499, 3_499, 5_499),
        ("3", 5_050, 4_050, 6_050),  # the last bin of chr3 has 100 bp
    ],
)
def test_contacts_are_those_of_the_matrix(toy, chrom, tss, start, end):
    contact_map = open_contact_map(toy.path("contacts.cool"), CONTACT_BIN, "NONE")
    values, bin_size = tss_contacts(chrom, tss, start, end, contact_map=contact_map, power_law=LAW)
    assert (bin_size, values.dtype, len(values)) == (CONTACT_BIN, np.float32, 5)
    name = chrom if chrom.startswith("chr") else f"chr{chrom}"
    before = {"chr1": 0, "chr2": 24, "chr3": 40}[name]
    bins = -(-SIZES[name] // CONTACT_BIN)
    expected = []
    for i in range(start // CONTACT_BIN, start // CONTACT_BIN + 5):
        inside = 0 <= i < bins
        count = toy.contacts[before + i, before + tss // CONTACT_BIN] if inside else 0
        expected.append(np.log10(1 + count))
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_power_law_closed_form():
    law = PowerLaw(gamma=1.5, at_bin=40, bin=1_000)
    contacts = power_law_contacts(np.array([-3, -1, 0, 1, 4]), law)
    np.testing.assert_allclose(contacts, [40 / 3**1.5, 40, 40, 40, 5], rtol=1e-12)
    values, bin_size = tss_contacts("c", 2_500, -500, 5_500, contact_map=None, power_law=law)
    assert bin_size == 1_000
    # The first bin is [-1000, 0), three before the TSS's.
    assert values[0] == pytest.approx(np.log10(1 + 40 / 3**1.5), rel=1e-6)
    assert values[[2, 3, 4]].tolist() == [pytest.approx(np.log10(41), rel=1e-6)] * 3
    assert len(values) == 7


def test_default_power_law_is_that_of_abc():
    contacts = power_law_contacts(np.array([0, 1, 20]), PowerLaw())
    np.testing.assert_allclose(contacts, [100, 100, 100 * 20**-1.024238616787792])


def test_nan_of_a_balanced_map_is_zero():
    class Fake:
        """Balancing leaves NaN where a bin was filtered out."""

        def fetch(self, rows, columns, **_):
            above = columns == "c:200-300"
            values = np.array([[np.nan], [3.0], [7.0]]) if above else np.array([[7.0, np.nan, 9.0]])
            return SimpleNamespace(to_numpy=lambda: values)

    contact_map = ContactMap("x.hic", {"c": 500}, 100, "VC", Fake())
    values, _ = tss_contacts("c", 250, 0, 500, contact_map=contact_map, power_law=LAW)
    np.testing.assert_allclose(values, np.log10([1, 4, 8, 1, 10, 1]), rtol=1e-6)


def test_what_a_file_lacks_is_listed(toy, tmp_path):
    path = toy.path("contacts.cool")
    with pytest.raises(
        UserError,
        match=r"no normalization 'KR' at 500 bp; it has NONE; set hic\.normalization to one of these, "
        r"or hic\.missing_normalization: none to use raw counts",
    ):
        open_contact_map(path, CONTACT_BIN, "KR")
    with pytest.raises(
        UserError, match=r"contacts\.cool: no resolution 5000; it has 500; set hic\.re"
    ):
        open_contact_map(path, 5_000, "NONE")
    (tmp_path / "x.hic").write_bytes(b"<html>")
    with pytest.raises(UserError, match=r"x\.hic: an HTML page instead of hic or HDF5"):
        open_contact_map(tmp_path / "x.hic", 5_000, "NONE")
    whole = path.read_bytes()
    (tmp_path / "cut.cool").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"cut\.cool: unreadable contact map") as caught:
        open_contact_map(tmp_path / "cut.cool", CONTACT_BIN, "NONE")
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def hic_file(toy, tmp_path_factory):
    """The toy matrix as a .hic without any vector, its chromosomes named 1, 2 and 3."""
    path = tmp_path_factory.mktemp("hic") / "contacts.hic"
    sizes = {name.removeprefix("chr"): size for name, size in SIZES.items()}
    writer = load_hictkpy().hic.FileWriter(
        path, sizes, [CONTACT_BIN, 2 * CONTACT_BIN], tmpdir=path.parent, skip_all_vs_all_matrix=True
    )
    first, second = np.nonzero(np.triu(toy.contacts))
    counts = toy.contacts[first, second].astype(np.float32).tolist()
    writer.add_pixels_from_dict({"bin1_id": first, "bin2_id": second, "count": counts})
    writer.finalize()
    return path


@pytest.mark.parametrize("wanted", ["VC", "weight"])
@pytest.mark.parametrize("kind", ["cool", "hic"])
def test_missing_normalization(toy, hic_file, caplog, kind, wanted):
    path = hic_file if kind == "hic" else toy.path("contacts.cool")
    with pytest.raises(
        UserError, match=rf"no normalization '{wanted}' at 500 bp; it has NONE; set"
    ):
        open_contact_map(path, CONTACT_BIN, wanted)
    contact_map = open_contact_map(path, CONTACT_BIN, wanted, "none")
    assert f"{path}: no normalization '{wanted}' at 500 bp: raw counts are used" in caplog.text
    assert check_vectors(contact_map, ["chr1", "chr2", "chr9"]) == contact_map
    window = {"contact_map": contact_map, "power_law": LAW}
    values, _ = tss_contacts("chr1", 6_000, 5_000, 7_000, **window)
    np.testing.assert_allclose(values, np.log10(1 + toy.contacts[10:15, 12]), rtol=1e-6)


def test_resolution_of_a_hic_file(hic_file):
    with pytest.raises(
        UserError, match=r"no resolution 700; it has 500, 1000; set hic\.resolution"
    ):
        open_contact_map(hic_file, 700, "NONE")


def test_chromosomes_without_vector(caplog):
    class Fake:
        """A file with a VC vector for a and b only, which halves the counts."""

        def fetch(self, rows, columns, normalization, count_type):
            if normalization == "VC" and rows.startswith("c"):
                raise RuntimeError("unable to read VC weights")
            factor = 0.5 if normalization == "VC" else 1
            shape = (3, 1) if columns == rows[:2] + "200-300" else (1, 3)
            return SimpleNamespace(to_numpy=lambda: np.full(shape, 18.0) * factor)

    sizes = {"a": 500, "b": 500, "c": 500}
    strict = ContactMap("x.hic", sizes, 100, "VC", Fake())
    assert check_vectors(strict, ["a", "b", "absent"]) == strict
    with pytest.raises(
        UserError, match=r"x\.hic: no VC vector for c; choose another hic\.normaliz"
    ):
        check_vectors(strict, ["a", "c"])
    with pytest.raises(UserError, match=r"cannot read c:0-300 x c:200-300 with normalization VC"):
        tss_contacts("c", 250, 0, 500, contact_map=strict, power_law=LAW)
    lenient = check_vectors(strict._replace(missing="none"), ["a", "c"])
    assert "x.hic: no VC vector for c: raw counts are used there" in caplog.text
    for chrom, contact in (("a", 9), ("c", 18)):
        values, _ = tss_contacts(chrom, 250, 0, 500, contact_map=lenient, power_law=LAW)
        np.testing.assert_allclose(values[:5], np.log10(1 + contact), rtol=1e-6)


def test_missing_chromosome(toy):
    contact_map = open_contact_map(toy.path("contacts.cool"), CONTACT_BIN, "NONE")
    window = {"contact_map": contact_map, "power_law": LAW}
    with pytest.raises(
        UserError, match=r"contacts\.cool: no chromosome 'chr9', it has chr1, chr2, c"
    ):
        tss_contacts("chr9", 500, 0, 1_000, **window)
    with pytest.raises(UserError, match=r"chr3 ends at 5100, before the TSS in bin 20 of 500 bp"):
        tss_contacts("chr3", 10_000, 9_000, 11_000, **window)


def test_real_balanced_map(realdata):
    """Balanced with NaN in filtered bins: each row sums to about 1, near bins touch most."""
    import hictkpy

    path = realdata / "GM12878.chr20.25kb.cool"
    contact_map = open_contact_map(path, 25_000, "weight")
    dense = hictkpy.File(path).fetch("chr20:1000000-3000000", normalization="weight").to_numpy()
    values, bin_size = tss_contacts(
        "20", 2_012_345, 1_912_345, 2_112_345, contact_map=contact_map, power_law=LAW
    )
    row = np.nan_to_num(dense[40, 36:45])
    assert bin_size == 25_000
    np.testing.assert_allclose(values, np.log10(1 + row), rtol=1e-5)
    assert values.argmax() == 4
