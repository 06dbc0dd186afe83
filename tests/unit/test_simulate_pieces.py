"""The pieces of the simulation by hand, and how it treats the folder it writes to."""

import json
import shutil
from dataclasses import replace

import hictkpy
import numpy as np
import pandas as pd
import pytest

from seq2exp.errors import UserError
from seq2exp.simulate import Settings, simulate
from seq2exp.simulate.__main__ import main
from seq2exp.simulate.contacts import contact
from seq2exp.simulate.grammar import (
    ACTIVE_MOTIF,
    DECOY_MOTIF,
    PROMOTER_MOTIF,
    cell_line_motifs,
    copy_offsets,
    decode,
    encode,
    motif_starts,
    remove_chance_hits,
)
from seq2exp.simulate.layout import blocks, draw_layout, random_partition
from seq2exp.simulate.signals import cage_profile, runs

TINY = Settings(genes=20)


def reverse_complement(sequence):
    return sequence[::-1].translate(str.maketrans("ACGT", "TGCA"))


def test_motifs_are_their_own_reverse_complement_and_differ():
    assert PROMOTER_MOTIF == ACTIVE_MOTIF
    motifs = [ACTIVE_MOTIF, DECOY_MOTIF, *cell_line_motifs(4)]
    assert [reverse_complement(m) for m in motifs] == motifs
    assert sorted(ACTIVE_MOTIF) == sorted(DECOY_MOTIF)
    for i, first in enumerate(motifs):
        for second in motifs[:i]:
            assert sum(a != b for a, b in zip(first, second, strict=True)) >= 6
    assert cell_line_motifs(4)[:2] == cell_line_motifs(2)


def test_remove_chance_hits_spares_the_protected():
    codes = encode("AA" + ACTIVE_MOTIF + "TT" + ACTIVE_MOTIF + "AC")
    protected = np.zeros(len(codes), dtype=bool)
    protected[2:12] = True
    remove_chance_hits(codes, ACTIVE_MOTIF, protected)
    assert motif_starts(codes, ACTIVE_MOTIF).tolist() == [2]
    assert decode(codes)[:14] == "AA" + ACTIVE_MOTIF + "TT"


def test_copy_offsets_never_overlap():
    rng = np.random.default_rng(0)
    for _ in range(50):
        offsets = copy_offsets(110, 9, rng)
        assert np.diff(offsets).min() >= 12
        assert offsets[0] >= 0
        assert offsets[-1] + 10 <= 110


def test_small_pieces_by_hand():
    assert blocks(np.array([9, 8, 4, 3, 2])) == [(2, 5), (8, 10)]
    parts = random_partition(100, 4, 20, np.random.default_rng(0))
    assert sum(parts) == 100
    assert min(parts) >= 20
    starts, ends, values = runs(np.array([1, 1, np.nan, 2, 0], dtype=np.float32), 47, 10)
    assert starts.tolist() == [0, 30, 40]
    assert ends.tolist() == [20, 40, 47]
    assert values.tolist() == [1, 2, 0]
    profile = cage_profile()
    assert profile.shape == (384,)
    assert profile.sum() == pytest.approx(1)
    assert profile.argmax() == 192


def test_contact_law():
    settings = Settings()
    assert contact([0, -250, 500, 1000], settings) == pytest.approx([1, 1, 2**-0.75, 4**-0.75])
    long = replace(settings, window=128_000)
    assert contact(64_000, long) == pytest.approx(contact(1_000, settings))
    assert (settings.contact_resolution, long.contact_resolution) == (200, 3_200)


def test_chromosomes_split_as_in_the_demo():
    expected = {"chr1": 200, "chr2": 200, "chr3": 200, "chr4": 100, "chr5": 100}
    assert Settings().chromosomes == expected


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("genes", 5),
        ("window", 999),
        ("promoter", 100),
        ("noise_share", 0.5),
        ("cell_lines", ("A", "../B")),
        ("element_length", (50, 250)),
        ("element_nearest", -0.1),
        ("open_probability", 0.0),
    ],
)
def test_impossible_settings_name_the_setting(setting, value):
    with pytest.raises(UserError, match=f"simulation setting {setting}="):
        Settings(**{setting: value})


def test_an_element_must_fit_beyond_the_nearest_place():
    with pytest.raises(
        UserError, match=r"element_reach=0\.6: .* beyond promoter and element_nearest"
    ):
        Settings(element_nearest=0.36)  # 360 to 600 bp away, for elements of up to 250 bp
    assert Settings(element_nearest=0.35).nearest == 350


def test_elements_keep_their_distance():
    settings = replace(TINY, genes=60, window=4_000, element_nearest=0.5, element_reach=0.9)
    settings = replace(settings, close_pairs=0.0)  # no element is near another gene's TSS
    layout = draw_layout(settings, np.random.default_rng(1))
    assert len(layout.elements) > 60
    for element in layout.elements:
        tss = np.array([gene.tss for gene in layout.genes if gene.chrom == element.chrom])
        nearest = tss[np.abs(tss - (element.start + element.end) / 2).argmin()]
        first, last = element.start - nearest, element.end - 1 - nearest
        assert first >= 1_000 or last < -1_000
        assert first >= -1_800
        assert last < 1_800


def test_without_noise_the_ceiling_is_1(tmp_path):
    settings = replace(TINY, promoter_share=0.5, distal_share=0.5, noise_share=0.0)
    ceilings = simulate(tmp_path / "out", 1, settings)
    assert ceilings["noise_ceiling_pearson"].to_numpy() == pytest.approx(1)


def contents(folder):
    """Return what each file says; HDF5 carries its date, so .cool is read instead."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".cool":
            found[name] = hictkpy.File(path).fetch().to_coo().toarray().tobytes()
        else:
            found[name] = path.read_bytes()
    return found


def test_the_same_seed_gives_the_same_files(tmp_path):
    for name, seed in (("first", 3), ("second", 3), ("other", 4)):
        simulate(tmp_path / name, seed, TINY)
    first, second, other = (contents(tmp_path / n) for n in ("first", "second", "other"))
    assert first == second
    assert len(first) == 5 + 5 * 2 + 5 + 1
    assert all(first[name] != other[name] for name in first)


def test_a_finished_simulation_is_left_alone_and_a_changed_one_rewritten(tmp_path):
    out = tmp_path / "out"
    written = simulate(out, 3, TINY)
    stamp = (out / "simulation.json").stat().st_mtime_ns
    again = simulate(out, 3, TINY)
    assert (out / "simulation.json").stat().st_mtime_ns == stamp
    pd.testing.assert_frame_equal(written, again, rtol=1e-8)
    simulate(out, 4, TINY)
    assert json.loads((out / "simulation.json").read_text())["seed"] == 4
    (out / "labels.tsv").unlink()
    simulate(out, 4, TINY)
    assert (out / "labels.tsv").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_of_somebody_else_is_refused(tmp_path):
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"thesis\.txt"):
        simulate(out, 1, TINY)
    (out / "thesis.txt").rename(tmp_path / "thesis.txt")
    simulate(out, 1, TINY)
    shutil.move(tmp_path / "thesis.txt", out)
    with pytest.raises(UserError, match="choose another folder"):
        simulate(out, 2, TINY)
    assert (out / "thesis.txt").read_text() == "years of work"
    (out / "simulation.json").write_text("[]")
    with pytest.raises(UserError, match="not a simulation's stamp"):
        simulate(out, 2, TINY)


def test_longer_windows_and_one_cell_line(tmp_path):
    settings = replace(TINY, window=16_000, cell_lines=("Solo",))
    simulate(tmp_path / "out", 1, settings)
    pairs = pd.read_csv(tmp_path / "out" / "truth" / "pairs.tsv", sep="\t")
    assert pairs["distance"].max() > 4_000
    assert pairs["open"].all()
    assert hictkpy.File(tmp_path / "out" / "Solo.contacts.cool").resolution() == 400


def test_command_line(tmp_path, capsys):
    main([str(tmp_path / "out"), "--seed", "5", "--genes", "20", "--window", "3000"])
    assert "noise_ceiling_pearson" in capsys.readouterr().out
    stamp = json.loads((tmp_path / "out" / "simulation.json").read_text())
    assert (stamp["seed"], stamp["settings"]["genes"], stamp["settings"]["window"]) == (5, 20, 3000)
    with pytest.raises(SystemExit, match="error: simulation setting window=11"):
        main([str(tmp_path / "bad"), "--window", "11"])
