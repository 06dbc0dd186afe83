"""Scores of a model whose answer is known: it adds up 1 an A, 10 a C, 100 a G, 1,000 a T."""

import logging
import math

import pandas as pd
import pysam
import pytest
import torch

from seq2exp.checkpoints import save_checkpoint
from seq2exp.cli import main
from seq2exp.errors import UserError
from seq2exp.models import InputShape, build_model
from seq2exp.prediction import predict
from seq2exp.schemas import SCORE_COLUMNS, SCORE_TEXT, read_table
from seq2exp.variants import table
from tests.conftest import GENES

from .any_model import config_of
from .planted_models import BASE_VALUES, ByLetter, trained

HEADER = "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
TSS = {gene: (chrom, tss, strand) for gene, chrom, tss, strand in GENES}


@pytest.fixture
def model(monkeypatch):
    """The planted model, in place of any checkpoint."""
    model = ByLetter()
    monkeypatch.setattr(table, "load_checkpoint", lambda *_: trained(model))
    return model


@pytest.fixture
def score(toy, toy_store, tmp_path, model):
    """Function: scores of a file's text or path, as a table."""

    def run(variants, name="v.vcf", fasta=None, **options):
        path = tmp_path / name
        path.write_text(variants)
        table.score_variants(
            *(tmp_path / "no.ckpt", toy_store.path, path, fasta or toy.path("genome.fa")),
            out_table=tmp_path / "s.tsv",
            **options,
        )
        return read_table(tmp_path / "s.tsv", SCORE_COLUMNS, text=SCORE_TEXT)

    return run


def vcf(*rows):
    return HEADER + "".join(
        f"{chrom}\t{pos}\t{id_}\t{ref}\t{alt}\t.\t.\t{info}\n"
        for chrom, pos, id_, ref, alt, info in rows
    )


def letters(toy, chrom, start, end):
    """0-based half-open."""
    return toy.sequence[chrom][start:end].upper()


def other(base):
    return {"A": "C", "C": "G", "G": "T", "T": "A"}[base]


def value(sequence):
    return sum(BASE_VALUES.get(base, 0) for base in sequence)


def window_value(sequence, tss):
    """Of 2,000 bp around a base of a chromosome, which may end within."""
    return value(sequence[max(tss - 1_000, 0) : tss + 1_000])


def expected_effect(toy, gene, start, end, new):
    """The chromosome as a string, the edit made in it, both windows added up."""
    chrom, tss, _ = TSS[gene]
    before = toy.sequence[chrom].upper()
    after = before[:start] + new + before[end:]
    moved = tss if tss < end else tss + len(new) - (end - start)
    return window_value(after, moved) - window_value(before, tss)


def test_twenty_variants(toy, score, model, caplog):
    def ref(chrom, pos, length=1):
        return letters(toy, chrom, pos - 1, pos - 1 + length)

    a, b, c = (ref("chr2", pos) for pos in (3_501, 4_001, 4_600))
    wrong = other(ref("chr2", 3_600))
    ref5, ref3 = ref("chr2", 4_101, 5), ref("chr1", 1_199, 3)
    first, last = ref("chr1", 1), ref("chr1", 12_000)
    edge, beyond = ref("chr2", 3_001), ref("chr2", 3_000)
    end = ref("chr2", 5_000)
    rows = [
        ("chr2", 3_501, "snv", a, other(a), "."),
        ("2", 3_501, "same_named_2", a.lower(), other(a), "."),
        ("chr2", 4_001, "at_tss", b, f"{other(b)},{other(other(b))}", "."),
        ("chr2", 4_101, "mnv", ref5, "".join(map(other, ref5)), "."),
        ("chr2", 4_101, "deletion", ref5, ref5[0], "."),
        ("chr2", 3_501, "insertion", a, a + "GGGTT", "."),
        ("chr2", 4_600, "multi", c, f"{other(c)},{c}TT,*", "."),
        ("chr2", 3_600, "wrong_base", wrong, "A" if wrong != "A" else "C", "."),
        ("chr2", 3_001, "window_first", edge, other(edge), "."),
        ("chr2", 3_000, "before_window", beyond, other(beyond), "."),
        ("chr2", 5_000, "window_last", end, other(end), "."),
        ("chr1", 1_199, "two_genes", ref3, "T", "."),
        ("chr1", 851, "n_to_a", "N", "A", "."),
        ("chr1", 1, "chromosome_start", first, "TT" + first, "."),
        ("chr1", 12_000, "chromosome_end", last, last + "T", "."),
        ("chr2", 3_800, "sv", "N", "<DEL>", "SVLEN=-150"),
        ("chr2", 3_950, "sv_tss", "N", "<DEL>", "END=4100"),
        ("chr2", 3_800, "dup", "N", "<DUP>", "END=3900"),
        ("chrUn", 3_800, "unknown", "A", "C", "."),
        ("chr2", 7_000, "far", ref("chr2", 7_000), other(ref("chr2", 7_000)), "."),
    ]
    with caplog.at_level(logging.INFO):
        scores = score(vcf(*rows), batch_size=5)

    effects = {
        ("snv", "G7"): (3_500, 3_501, other(a)),
        ("same_named_2", "G7"): (3_500, 3_501, other(a)),
        ("at_tss", "G7"): (4_000, 4_001, other(b)),
        ("at_tss 2", "G7"): (4_000, 4_001, other(other(b))),
        ("mnv", "G7"): (4_100, 4_105, "".join(map(other, ref5))),
        ("deletion", "G7"): (4_101, 4_105, ""),
        ("insertion", "G7"): (3_501, 3_501, "GGGTT"),
        ("multi", "G7"): (4_599, 4_600, other(c)),
        ("multi 2", "G7"): (4_600, 4_600, "TT"),
        ("window_first", "G7"): (3_000, 3_001, other(edge)),
        ("window_last", "G7"): (4_999, 5_000, other(end)),
        ("two_genes", "G1"): (1_198, 1_201, "T"),
        ("two_genes", "G2"): (1_198, 1_201, "T"),
        ("two_genes", "G3"): (1_198, 1_201, "T"),
        ("n_to_a", "G1"): (850, 851, "A"),
        ("n_to_a", "G2"): (850, 851, "A"),
        ("n_to_a", "G3"): (850, 851, "A"),
        ("chromosome_start", "G1"): (0, 0, "TT"),
        ("chromosome_end", "G6"): (12_000, 12_000, "T"),
        ("sv", "G7"): (3_800, 3_950, ""),
    }
    found = {}
    for row in scores[scores["status"] == "scored"].itertuples():
        key = (row.id, row.gene_id)
        found[key if key not in found else (f"{row.id} 2", row.gene_id)] = row
    assert found.keys() == effects.keys()
    for (name, gene), (start, stop, new) in effects.items():
        row = found[name, gene]
        assert row.effect == expected_effect(toy, gene, start, stop, new), name
        assert row.predicted_alt - row.predicted_ref == row.effect
        assert row.predicted_ref == window_value(toy.sequence[TSS[gene][0]].upper(), TSS[gene][1])
    assert found["snv", "G7"].effect == BASE_VALUES[other(a)] - BASE_VALUES[a]
    assert found["n_to_a", "G1"].effect == 1
    without = scores[scores["status"] != "scored"]
    assert without[["id", "status"]].to_numpy().tolist() == [
        *[["wrong_base", "refused"], ["before_window", "no_gene"], ["sv_tss", "tss_deleted"]],
        *[["dup", "refused"], ["unknown", "refused"], ["far", "no_gene"]],
    ]
    assert without["effect"].isna().all()
    assert without["reason"].tolist() == [
        f"REF is {wrong}, but genome.fa has {ref('chr2', 3_600)} there",
        *["", "", "<DUP>: of symbolic alleles only <DEL> is read"],
        *["genome.fa has no chromosome 'chrUn'", ""],
    ]
    # Windows: each of G1, G2, G3, G6 and G7 once as it is, and each pair.
    assert model.windows == 5 + len(effects)
    assert [record.getMessage().split(":")[0] for record in caplog.records[:5]] == [
        "scored 16 of 22 alleles with 5 genes",
        "1 alternatives without a sequence (* and the like) are left out",
        "2 alleles are in the window of no gene",
        "1 deletions take the TSS of a gene with them and have no score for it",
        "3 alleles are refused, the first",
    ]


def test_columns(toy, score):
    a, b = letters(toy, "chr1", 1_010, 1_011), letters(toy, "chr1", 1_108, 1_112)
    rows = score(
        vcf(("1", 1_011, "x", a, other(a), "."), ("chr1", 1_109, ".", b, b[0], ".")),
        genes=["g2", "G1"],
    )
    shown = rows[["chrom", "pos", "id", "ref", "alt", "start", "end"]].to_numpy().tolist()
    assert shown == [
        *[["1", 1_011, "x", a, other(a), 1_010, 1_011]] * 2,
        *[["chr1", 1_109, "", b, b[0], 1_109, 1_112]] * 2,
    ]
    genes = rows[["gene_id", "gene_name", "strand", "distance_to_tss"]].to_numpy().tolist()
    assert genes == [
        *[["G1", "g1", "+", 710], ["G2", "g2", "-", 90]],
        *[["G1", "g1", "+", 809], ["G2", "g2", "-", -9]],
    ]
    assert (
        rows["mask_ref"].tolist()
        == [a == "A"] * 2 + [pytest.approx(b[1:].count("A") / 3, abs=1e-7)] * 2
    )
    assert rows["mask_alt"].tolist()[:2] == [other(a) == "A"] * 2
    assert rows["mask_alt"].isna().tolist() == [False, False, True, True]
    # G1's window ends within G2's, which the store holds; behind G2's nothing is stored.
    assert rows["unmeasured_bp"].tolist() == [0, 0, 0, 3]


def test_bed_of_deletions_removed_or_blanked(toy, score):
    text = "2\t3800\t3850\telement 1\nchr2\t3990\t4010\tpromoter\nchr2\t6000\t6010\n"
    removed = score(text, "v.bed")
    assert removed["status"].tolist() == ["scored", "tss_deleted", "no_gene"]
    assert removed[["chrom", "pos", "id", "ref", "alt", "start", "end"]].to_numpy().tolist() == [
        ["2", 3_800, "element 1", "N", "<DEL>", 3_800, 3_850],
        ["chr2", 3_990, "promoter", "N", "<DEL>", 3_990, 4_010],
        ["chr2", 6_000, "", "N", "<DEL>", 6_000, 6_010],
    ]
    assert removed["effect"][0] == expected_effect(toy, "G7", 3_800, 3_850, "")
    assert removed["unmeasured_bp"][0] == 50
    assert math.isnan(removed["effect"][1])
    blank = score(text, "v.bed", deletions="blank")
    assert blank["status"].tolist() == ["scored", "scored", "no_gene"]
    assert blank["effect"].tolist()[:2] == [
        -value(letters(toy, "chr2", 3_800, 3_850)),
        -value(letters(toy, "chr2", 3_990, 4_010)),
    ]
    assert blank["unmeasured_bp"].tolist()[:2] == [0, 0]


def test_a_record_is_scored_by_itself_whatever_else_there_is(toy, score):
    a, b = (letters(toy, "chr2", pos, pos + 1) for pos in (3_500, 3_501))
    one, two = ("chr2", 3_501, "a", a, other(a), "."), ("chr2", 3_502, "b", b, other(b), ".")
    both = score(vcf(one, one, two))["effect"]
    assert both.tolist() == [BASE_VALUES[other(x)] - BASE_VALUES[x] for x in (a, a, b)]
    reordered = score(vcf(two, one), batch_size=1)["effect"]
    assert reordered.tolist() == [both[2], both[0]]


def test_a_bgzipped_genome_of_the_other_naming(toy, score, tmp_path):
    text = toy.path("genome.fa").read_text().replace(">chr", ">")
    (tmp_path / "plain.fa").write_text(text.lower())
    pysam.tabix_compress(str(tmp_path / "plain.fa"), str(tmp_path / "g.fa.gz"))
    a = letters(toy, "chr2", 3_500, 3_501)
    rows = score(vcf(("chr2", 3_501, ".", a, other(a), ".")), fasta=tmp_path / "g.fa.gz")
    assert rows["effect"].tolist() == [BASE_VALUES[other(a)] - BASE_VALUES[a]]


def changed_fasta(toy, folder, change):
    path = folder / f"{change.__name__}.fa"
    path.write_text(change(toy.path("genome.fa").read_text()))
    return path


def test_another_genome_is_noticed(toy, score, tmp_path):
    a = letters(toy, "chr2", 3_500, 3_501)
    rows = vcf(("chr2", 3_501, ".", a, other(a), "."))
    sequence = letters(toy, "chr2", 0, 8_000)
    base = sequence[4_500]

    def one_base(text):
        head, tail = text.split(">chr2\n")
        lines = sequence[:4_500] + other(base) + sequence[4_501:]
        return f"{head}>chr2\n{lines}\n>chr3{tail.split('>chr3')[1]}"

    def renamed(text):
        return text.replace(">chr1", ">x")

    message = (
        rf"one_base\.fa: has {other(base)} at chr2:4501, where the window store .* has {base};"
    )
    with pytest.raises(UserError, match=message):
        score(rows, fasta=changed_fasta(toy, tmp_path, one_base))
    assert not (tmp_path / "s.tsv").exists()
    with pytest.raises(UserError, match=r"no chromosome 'chr1', which the window store .* has; it"):
        score(rows, fasta=changed_fasta(toy, tmp_path, renamed))


def test_strict_stops_at_the_first_refusal(toy, score, tmp_path):
    a = letters(toy, "chr2", 3_500, 3_501)
    rows = vcf(("chr2", 3_501, "good", a, other(a), "."), ("chr2", 3_501, "bad", other(a), a, "."))
    assert score(rows)["status"].tolist() == ["scored", "refused"]
    (tmp_path / "s.tsv").unlink()
    message = (
        rf"v\.vcf: record 2, chr2:3501 {other(a)}>{a}: REF is {other(a)}, but genome.fa has {a}"
    )
    with pytest.raises(UserError, match=message):
        score(rows, strict=True)
    only_wrong = vcf(("chr2", 3_501, "bad", other(a), a, "."), ("chr9", 1, ".", "A", "C", "."))
    with pytest.raises(
        UserError, match=r"v\.vcf: record 1, .*none of 2 alleles can be scored; give"
    ):
        score(only_wrong)
    assert not (tmp_path / "s.tsv").exists()


def test_nothing_in_a_window_is_a_table_all_the_same(toy, score, model):
    far = letters(toy, "chr2", 7_000, 7_001)
    rows = score(vcf(("chr2", 7_001, ".", far, other(far), ".")))
    assert rows["status"].tolist() == ["no_gene"]
    assert model.windows == 0


def test_unknown_genes_and_models_that_read_no_sequence(toy, score, model, caplog):
    a = letters(toy, "chr2", 3_500, 3_501)
    rows = vcf(("chr2", 3_501, ".", a, other(a), "."))
    with pytest.raises(UserError, match=r"--genes: no gene 'TP53' in .*Toy; correct or remove it"):
        score(rows, genes=["G7", "TP53"])
    assert score(rows, genes=["G4"])["status"].tolist() == ["no_gene"]
    model.of_letters.zero_()
    assert score(rows)["effect"].tolist() == [0]
    assert "no allele changes any prediction; does this model read the sequence?" in caplog.text


@pytest.mark.parametrize("kind", ["seq2exp_soft", "seq2exp_hard", "peaks_mask", "mamba"])
def test_trained_models_in_batches_of_any_size(toy, toy_store, tmp_path, kind):
    config, shape = config_of(kind), InputShape(1_200, 200, 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = build_model(config, shape)
    meta = {"assay": "RNA", "fold": 1, "feature_names": ["promoter_activity"], "cell_line": "Toy"}
    save_checkpoint(tmp_path / "m.ckpt", network, config, shape, meta)
    rows = [
        ("chr2", pos, ".", letters(toy, "chr2", pos - 1, pos)) for pos in range(3_450, 4_400, 90)
    ]
    (tmp_path / "v.vcf").write_text(
        vcf(*((*row, other(row[3]) * (1 + row[1] % 3), ".") for row in rows))
    )
    tables = []
    for batch_size in (1, 4):
        table.score_variants(
            *(tmp_path / "m.ckpt", toy_store.path, tmp_path / "v.vcf", toy.path("genome.fa")),
            out_table=tmp_path / "s.tsv",
            batch_size=batch_size,
        )
        tables.append(read_table(tmp_path / "s.tsv", SCORE_COLUMNS, text=SCORE_TEXT))
    pd.testing.assert_frame_equal(*tables, rtol=0, atol=1e-6)
    assert tables[0]["status"].tolist() == ["scored"] * len(rows)
    assert tables[0]["mask_ref"].notna().all() == (kind != "mamba")
    predict(tmp_path / "m.ckpt", toy_store.path, None, out_table=tmp_path / "p.tsv", out_masks=None)
    predicted = read_table(tmp_path / "p.tsv").set_index("gene_id")["predicted"]["G7"]
    assert tables[0]["predicted_ref"].tolist() == [pytest.approx(predicted, abs=1e-6)] * len(rows)


def test_an_older_table_stays_until_the_new_one_is_whole(toy, score, model, tmp_path, monkeypatch):
    a = letters(toy, "chr2", 3_500, 3_501)
    rows = vcf(("chr2", 3_501, ".", a, other(a), "."))
    score(rows)
    before = (tmp_path / "s.tsv").read_bytes()

    def fail(batch):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(model, "forward", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        score(rows + vcf(("chr2", 3_502, ".", "N", "<DEL>", "END=3510")).removeprefix(HEADER))
    assert (tmp_path / "s.tsv").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.tsv", "v.vcf"]


def test_the_command(toy, toy_store, tmp_path, model, capsys):
    a = letters(toy, "chr2", 3_500, 3_501)
    (tmp_path / "v.vcf").write_text(vcf(("chr2", 3_501, ".", a, other(a), ".")))
    command = [
        *("score", "no.ckpt", str(toy_store.path), str(tmp_path / "v.vcf"), "--fasta"),
        *(str(toy.path("genome.fa")), "--out", str(tmp_path / "s.csv"), "--genes", "G7", "G4"),
    ]
    main([*command, "--batch-size", "2", "--deletions", "blank", "--strict"])
    written = pd.read_csv(tmp_path / "s.csv")
    assert written.columns.tolist() == list(SCORE_COLUMNS)
    assert written["effect"].tolist() == [BASE_VALUES[other(a)] - BASE_VALUES[a]]
    with pytest.raises(SystemExit, match=r"^error: --batch-size 0: must be above 0$"):
        main([*command, "--batch-size", "0"])
