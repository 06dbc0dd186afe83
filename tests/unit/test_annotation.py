"""Genes from GTF and tables: transcripts, TSS and mRNA features worked out by hand."""

import gzip
import logging

import numpy as np
import pandas as pd
import pytest

from seq2exp.annotation import n_fractions, prepare_genes, read_gene_table, read_gtf_genes
from seq2exp.errors import UserError
from seq2exp.gtf import choose_transcript, read_gtf
from seq2exp.reference import open_fasta, prepare_genome
from seq2exp.schemas import MRNA_FEATURES, read_table


def gtf_line(feature, start, end, strand="+", gene="A", transcript="A-1", chrom="c1", more=""):
    """One line; start and end 0-based half-open, as everywhere in these tests."""
    attributes = f'gene_id "{gene}.3"; transcript_id "{transcript}"; gene_name "{gene}name"; {more}'
    if "gene_" not in more:
        attributes += ' gene_type "protein_coding";'
    return f"{chrom}\tX\t{feature}\t{start + 1}\t{end}\t.\t{strand}\t.\t{attributes}\n"


def a_gene(name, strand, exons, coding, **more):
    shared = {"gene": name, "strand": strand, "transcript": f"{name}-1", **more}
    lines = [gtf_line("gene", exons[0][0], exons[-1][1], **shared)]
    lines += [gtf_line("exon", *block, **shared) for block in exons]
    lines += [gtf_line("CDS", *block, **shared) for block in coding[:-1]]
    if coding:
        lines.append(gtf_line("stop_codon", *coding[-1], **shared))
    return "".join(lines)


GENE_A = a_gene(
    "A", "+", [(10, 30), (50, 70), (90, 120)], [(20, 30), (50, 70), (90, 97), (97, 100)]
)
GENE_B = a_gene("B", "-", [(130, 150), (160, 190)], [(165, 180), (162, 165)])
GENE_C = a_gene("C", "+", [(192, 198)], [(192, 195), (195, 198)])


@pytest.fixture
def genome(tmp_path):
    """c1 of 200 bp: G from 10 to 20, C from 180 to 190 and at 192, N at 90 and 91, else A and T."""
    bases = np.array(list("AT" * 100))
    bases[10:20], bases[180:190], bases[192], bases[90:92] = "G", "C", "C", "N"
    (tmp_path / "in.fa").write_text(f">c1\n{''.join(bases)}\n>c2\n{'A' * 50}\n")
    prepare_genome(tmp_path / "in.fa", tmp_path / "genome.fa", tmp_path / "chrom.sizes", None)
    return tmp_path


def prepare(folder, text="", **arguments):
    if text:
        (folder / "genes.gtf").write_text(text)
        arguments["annotation"] = folder / "genes.gtf"
    prepare_genes(
        folder / "genes.tsv",
        folder / "dropped.tsv",
        fasta=folder / "genome.fa",
        chrom_sizes=folder / "chrom.sizes",
        **{"n_fraction_span": 20, **arguments},
    )
    return read_table(folder / "genes.tsv").set_index("gene_id")


def test_features_by_hand(genome):
    (genome / "g.gtf").write_text("##format: gtf\n" + GENE_A + GENE_B + GENE_C)
    table = read_gtf_genes(genome / "g.gtf", open_fasta(genome / "genome.fa")).set_index("gene_id")
    assert table["tss"].to_dict() == {"A": 10, "B": 189, "C": 192}
    assert table["strand"].to_dict() == {"A": "+", "B": "-", "C": "+"}
    assert table["gene_name"].to_dict() == {"A": "Aname", "B": "Bname", "C": "Cname"}
    lengths = table[["UTR5LEN", "CDSLEN", "INTRONLEN", "UTR3LEN"]]
    assert lengths.loc["A"].tolist() == [10, 40, 40, 20]
    assert lengths.loc["B"].tolist() == [10, 18, 10, 22]
    assert lengths.loc["C"].tolist() == [0, 6, 0, 0]
    # A: 3 coding exons in 40 bp of CDS; B and C: their 18 and 6 bp are in one.
    assert table["ORFEXONDENSITY"].to_dict() == {"A": 75.0, "B": 1000 / 18, "C": 1000 / 6}
    assert table["UTR5GC"].to_dict() == {"A": 1.0, "B": 1.0, "C": 0.0}
    assert table["CDSGC"].to_dict() == {"A": 0.0, "B": 0.0, "C": pytest.approx(1 / 6)}
    assert table["UTR3GC"].to_dict() == {"A": 0.0, "B": 0.0, "C": 0.0}


def test_gene_table_has_z_scores_of_log10_lengths(genome):
    table = prepare(genome, GENE_A + GENE_B + GENE_C)
    assert table.index.tolist() == ["A", "B", "C"]
    assert table.columns.tolist() == [
        *("gene_name", "chrom", "tss", "strand", "n_fraction"),
        *MRNA_FEATURES,
    ]
    logs = np.log10([40.1, 18.1, 6.1])
    expected = (logs - logs.mean()) / np.sqrt(((logs - logs.mean()) ** 2).mean())
    np.testing.assert_allclose(table["CDSLEN_log10zscore"], expected, rtol=1e-6)
    for name in ("UTR5LEN_log10zscore", "UTR3LEN_log10zscore", "INTRONLEN_log10zscore"):
        assert table[name].mean() == pytest.approx(0, abs=1e-7)
        assert (table[name] ** 2).mean() == pytest.approx(1, rel=1e-6)
    # Windows of 20 bp: C's, [182, 202), has two bases beyond the end.
    assert table["n_fraction"].tolist() == [0, 0, 0.1]


GENCODE = """\
##description: evidence-based annotation of the human genome (GRCh38), version 38 (Ensembl 104)
c1	HAVANA	gene	21	150	.	-	.	{gene} level 2; hgnc_id "HGNC:1"; havana_gene "OTTHUMG1.1";
c1	HAVANA	transcript	21	150	.	-	.	{gene} {one} level 2; tag "basic"; tag "CCDS";
c1	HAVANA	exon	21	150	.	-	.	{gene} {one} exon_number 1; level 2; tag "basic"; tag "CCDS";
c1	HAVANA	CDS	24	149	.	-	0	{gene} {one} exon_number 1; level 2; tag "basic"; tag "CCDS";
c1	HAVANA	stop_codon	21	23	.	-	0	{gene} {one} exon_number 1; level 2; tag "basic";
c1	HAVANA	transcript	31	140	.	-	.	{gene} {two} level 2; {tags}
c1	HAVANA	exon	131	140	.	-	.	{gene} {two} exon_number 1; exon_id "E1"; level 2; {tags}
c1	HAVANA	UTR	131	140	.	-	.	{gene} {two} exon_number 1; level 2; {tags}
c1	HAVANA	exon	101	120	.	-	.	{gene} {two} exon_number 2; exon_id "E2"; level 2; {tags}
c1	HAVANA	UTR	118	120	.	-	.	{gene} {two} exon_number 2; level 2; {tags}
c1	HAVANA	start_codon	115	117	.	-	0	{gene} {two} exon_number 2; level 2; {tags}
c1	HAVANA	CDS	101	117	.	-	0	{gene} {two} exon_number 2; level 2; {tags}
c1	HAVANA	exon	81	95	.	-	.	{gene} {two} exon_number 3; exon_id "E3"; level 2; {tags}
c1	HAVANA	CDS	81	95	.	-	1	{gene} {two} exon_number 3; level 2; {tags}
c1	HAVANA	exon	56	65	.	-	.	{gene} {two} exon_number 4; exon_id "E4"; level 2; {tags}
c1	HAVANA	CDS	61	65	.	-	1	{gene} {two} exon_number 4; level 2; {tags}
c1	HAVANA	stop_codon	58	60	.	-	0	{gene} {two} exon_number 4; level 2; {tags}
c1	HAVANA	UTR	56	57	.	-	.	{gene} {two} exon_number 4; level 2; {tags}
c1	HAVANA	exon	31	40	.	-	.	{gene} {two} exon_number 5; exon_id "E5"; level 2; {tags}
c1	HAVANA	UTR	31	40	.	-	.	{gene} {two} exon_number 5; level 2; {tags}
""".format(
    gene='gene_id "ENSG00000000009.7"; gene_type "protein_coding"; gene_name "NINE";',
    one='transcript_id "ENST00000000001.1"; transcript_type "protein_coding";',
    two='transcript_id "ENST00000000002.5"; transcript_type "protein_coding";',
    tags='tag "basic"; tag "Ensembl_canonical"; tag "MANE_Select"; tag "appris_principal_1";',
)


def test_gencode_gene_by_hand(genome):
    """Minus strand, UTRs over several exons, N in the CDS; the longer rival has no MANE tag."""
    (genome / "g.gtf").write_text(GENCODE)
    table = read_gtf_genes(genome / "g.gtf", open_fasta(genome / "genome.fa")).set_index("gene_id")
    gene = table.loc["ENSG00000000009"]
    assert (gene["gene_name"], gene["chrom"], gene["tss"], gene["strand"]) == (
        "NINE",
        "c1",
        139,
        "-",
    )
    # 0-based exons [30,40) [55,65) [80,95) [100,120) [130,140); coding from 57 to 117.
    assert gene["UTR5LEN"] == 10 + 3
    assert gene["CDSLEN"] == 8 + 15 + 17
    assert gene["UTR3LEN"] == 10 + 2
    assert gene["INTRONLEN"] == 15 + 15 + 5 + 10
    assert gene["ORFEXONDENSITY"] == 3 * 1000 / 40
    # The genome has no G or C there, and N at 90 and 91.
    assert gene[["UTR5GC", "CDSGC", "UTR3GC"]].tolist() == [0, 0, 0]
    bases = (genome / "in.fa").read_text().splitlines()[1]
    for start, end in ((57, 61), (92, 94), (135, 140), (118, 119), (30, 33)):
        bases = bases[:start] + "G" * (end - start) + bases[end:]
    (genome / "in.fa").write_text(f">c1\n{bases}\n")
    prepare_genome(genome / "in.fa", genome / "genome.fa", genome / "chrom.sizes", None)
    table = read_gtf_genes(genome / "g.gtf", open_fasta(genome / "genome.fa")).set_index("gene_id")
    gc = table.loc["ENSG00000000009", ["UTR5GC", "CDSGC", "UTR3GC"]].tolist()
    assert gc == pytest.approx([6 / 13, 6 / 38, 3 / 12])


def test_equal_lengths_have_z_score_zero(genome):
    twin = GENE_A.replace('"A', '"Z').replace("Z.3", "Z.1")
    table = prepare(genome, GENE_A + twin)
    assert (table[list(MRNA_FEATURES[:4])] == 0).all(axis=None)


def test_annotation_without_cds_has_no_features(genome):
    table = prepare(genome, a_gene("A", "+", [(10, 30)], []) + a_gene("B", "-", [(40, 60)], []))
    assert table.columns.tolist() == ["gene_name", "chrom", "tss", "strand", "n_fraction"]
    assert table["tss"].tolist() == [10, 59]


def test_gene_without_cds_among_others(genome):
    noncoding = a_gene("N", "-", [(20, 40), (60, 80)], [], more='gene_type "lncRNA";')
    table = prepare(genome, GENE_A + noncoding)
    assert table.index.tolist() == ["A"]
    table = prepare(genome, GENE_A + noncoding, gene_types=["protein_coding", "lncRNA"])
    assert table.index.tolist() == ["A", "N"]
    assert table.loc["N", ["UTR5GC", "CDSGC", "UTR3GC", "ORFEXONDENSITY"]].tolist() == [0] * 4
    assert table.loc["N", "CDSLEN_log10zscore"] == -1  # two genes: the shorter is 1 s.d. below
    assert table.loc["N", "INTRONLEN_log10zscore"] == -1  # 20 bp against 40


@pytest.mark.parametrize(
    ("rivals", "chosen"),
    [
        # name: (exons, CDS, tag)
        ({"a": ([(0, 90)], (0, 60), ""), "b": ([(5, 20)], (5, 11), "MANE_Select")}, "b"),
        (
            {
                "a": ([(0, 90)], (0, 60), "appris_principal_1"),
                "b": ([(5, 20)], None, "Ensembl_canonical"),
            },
            "b",
        ),
        (
            {
                "a": ([(0, 20)], (0, 6), "Ensembl_canonical"),
                "b": ([(5, 20)], (5, 11), "MANE_Select"),
            },
            "b",
        ),
        ({"a": ([(0, 90)], (0, 60), ""), "b": ([(5, 20)], (5, 11), "appris_principal_1")}, "b"),
        ({"a": ([(0, 90)], (0, 30), ""), "b": ([(5, 60)], (5, 41), "basic")}, "b"),
        ({"a": ([(0, 40)], (0, 30), ""), "b": ([(0, 30), (60, 90)], (0, 30), "")}, "b"),
        ({"b": ([(0, 40)], (0, 30), ""), "a": ([(5, 45)], (5, 35), "")}, "a"),
    ],
)
def test_rule_for_transcripts(tmp_path, rivals, chosen):
    text = ""
    for name, (exons, cds, tag) in rivals.items():
        more = f'tag "{tag}"; tag "other";'
        text += gtf_line("transcript", exons[0][0], exons[-1][1], transcript=name, more=more)
        text += "".join(gtf_line("exon", *e, transcript=name) for e in exons)
        text += gtf_line("CDS", *cds, transcript=name) if cds else ""
    (tmp_path / "g.gtf").write_text(text)
    assert choose_transcript(read_gtf(tmp_path / "g.gtf", [])["A"]).transcript_id == chosen


def test_dropped_genes_are_counted(genome, caplog):
    elsewhere = a_gene("E", "+", [(1, 9)], [], chrom="chrUn")
    with caplog.at_level(logging.INFO):
        table = prepare(genome, GENE_A + GENE_C + elsewhere, max_n_fraction=0.05)
    assert table.index.tolist() == ["A"]
    assert (
        "3 genes; dropped: 1 on chromosomes that are not used, 1 with more than 0.05 N in 20 bp "
        "around the TSS; kept: 1"
    ) in caplog.text
    dropped = read_table(genome / "dropped.tsv").set_index("gene_id")
    assert dropped["reason"].to_dict() == {
        "E": "on a chromosome that is not used",
        "C": "more N than window.max_n_fraction",
    }
    assert dropped["chrom"].to_dict() == {"E": "chrUn", "C": "c1"}
    np.testing.assert_array_equal(dropped["n_fraction"], [np.nan, 0.1])
    with pytest.raises(UserError, match=r"none of 2 genes is left \(1 on other chromosomes, 1 wit"):
        prepare(genome, GENE_C + elsewhere, max_n_fraction=0.05)


def test_names_follow_the_genome_and_ids_lose_versions(genome):
    (genome / "in.fa").write_text(f">chr1\n{'A' * 200}\n")
    prepare_genome(genome / "in.fa", genome / "genome.fa", genome / "chrom.sizes", None)
    table = prepare(genome, a_gene("A", "+", [(10, 30)], [], chrom="1"))
    assert table["chrom"].tolist() == ["chr1"]
    par = a_gene("P", "+", [(10, 30)], [], chrom="1").replace('"P.3"', '"P.3_PAR_Y"')
    table = prepare(genome, par + a_gene("P", "+", [(10, 30)], [], chrom="1"))
    assert table.index.tolist() == ["P", "P_PAR_Y"]


def test_gtf_may_be_gzipped(genome):
    with gzip.open(genome / "g.gtf.gz", "wt") as handle:
        handle.write(GENE_A)
    assert prepare(genome, annotation=genome / "g.gtf.gz").index.tolist() == ["A"]
    whole = (genome / "g.gtf.gz").read_bytes()
    (genome / "g.gtf.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"g\.gtf\.gz: truncated or damaged"):
        prepare(genome, annotation=genome / "g.gtf.gz")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (a_gene("F", "+", [(198, 201), (205, 220)], []), None),
        (
            a_gene("F", "-", [(150, 201)], []),
            r"TSS of gene 'F', c1:200, is not within the 200 bp of",
        ),
        (GENE_A.replace("\t+\t", "\t.\t"), r"line 2: strand '\.' is not \+ or -"),
        ("c1\tX\texon\t1\t20\n", r"line 1 has 5 tab-separated columns, not 9; give GTF"),
        ("c1\tX\texon\t1\t20\t.\t+\t.\tID=g1;Parent=t1\n", r"line 1: no gene_id; give GTF"),
        (GENE_A.replace("\t11\t", "\tx\t"), r"line 2: x-30 is not an interval"),
        (
            GENE_A.replace("protein_coding", "lncRNA"),
            r"no gene with exons of type protein_coding; gene types there: lncRNA \(1\)",
        ),
        (
            a_gene("E", "+", [(1, 9)], [], chrom="chrUn"),
            r"no gene on the genome's chromosomes \(gen",
        ),
    ],
)
def test_bad_annotations(genome, text, message):
    if message is None:
        assert prepare(genome, text)["tss"].tolist() == [198]
        return
    with pytest.raises(UserError, match=message) as caught:
        prepare(genome, text)
    assert str(caught.value).startswith(str(genome / "genes.gtf"))
    assert "\n" not in str(caught.value)


TABLE = "chrom\ttss\tstrand\tgene_id\tgene_name\tUTR5GC\textra\n"


def test_gene_table(genome):
    text = TABLE + "c2\t0\t+\tG2.1\ttwo\t0.5\tx\nc1\t199\t-\tG1\tone\t0.25\ty\n"
    (genome / "in.tsv").write_text(text)
    table = prepare(genome, genes=genome / "in.tsv")
    assert table.index.tolist() == ["G1", "G2"]
    assert table.columns.tolist() == [
        *("gene_name", "chrom", "tss", "strand", "n_fraction", "UTR5GC"),
    ]
    assert table["UTR5GC"].tolist() == [0.25, 0.5]
    assert table["n_fraction"].tolist() == [0.45, 0.5]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("c1\t5\t+\tG\tx\t0\tx\nc1\t9\t+\tG.2\tx\t0\tx\n", r"gene 'G' occurs twice"),
        ("c1\t200\t+\tG\tx\t0\tx\n", r"TSS of gene 'G', c1:200, is not within the 200 bp of c1"),
        ("c1\t-1\t+\tG\tx\t0\tx\n", r"TSS of gene 'G', c1:-1, is not within"),
        ("c1\t5.5\t+\tG\tx\t0\tx\n", r"line 2, column 'tss': .*5\.5.* is not a whole number"),
        ("c1\t5\t*\tG\tx\t0\tx\n", r"line 2, column 'strand': '\*'; give \+ or -"),
        ("c1\t5\t+\t\tx\t0\tx\n", r"line 2, column 'gene_id': ''; give every gene an id"),
    ],
)
def test_bad_gene_tables(genome, rows, message):
    (genome / "in.tsv").write_text(TABLE + rows)
    with pytest.raises(UserError, match=r"in\.tsv: (line|the|gene).*") as caught:
        prepare(genome, genes=genome / "in.tsv")
    assert pd.Series([str(caught.value)]).str.contains(message).item(), str(caught.value)


def test_gene_table_lacks_a_column(genome):
    (genome / "in.tsv").write_text("chrom\ttss\tgene_id\nc1\t1\tG\n")
    with pytest.raises(
        UserError, match=r"in\.tsv: no column 'gene_name'; the columns are chrom, ts"
    ):
        read_gene_table(genome / "in.tsv")


def test_real_n_fractions(realdata, tmp_path):
    """The table's own column was counted elsewhere, over 100 kb on both sides."""
    prepare_genome(
        realdata / "hg19.chr20_chr22.fa.gz", tmp_path / "g.fa", tmp_path / "sizes", ["chr20"]
    )
    genes = pd.read_csv(realdata / "genes.tsv", sep="\t").query("chrom == 'chr20'").iloc[::20]
    shares = n_fractions(genes, open_fasta(tmp_path / "g.fa"), 200_000)
    np.testing.assert_allclose(shares, genes["n_fraction_100kb"], atol=2e-4)
    assert shares.max() > 0.1


# A quoted comma, a version, another order of columns, a gene without a value, one that is not here.
FEATURE_TABLE = """\
Gene,about,ORFEXONDENSITY,UTR5LEN_log10zscore,CDSLEN_log10zscore,INTRONLEN_log10zscore,\
UTR3LEN_log10zscore,UTR5GC,CDSGC,UTR3GC
C.7,"one, two",9.62,-0.1,-0.8,-0.3,0.4,0.625,0.412,0.368
A,x,7.42,0.3,-0.4,0.01,-0.5,0.47,0.419,0.393
B,x,7.42,0.3,,0.01,-0.5,0.47,0.419,0.393
Z,x,1,1,1,1,1,1,1,1
"""


@pytest.mark.parametrize("kind", ["annotation", "genes"])
def test_features_from_a_table(genome, caplog, kind):
    (genome / "features.csv").write_text(FEATURE_TABLE)
    (genome / "in.tsv").write_text(
        "gene_id\tgene_name\tchrom\ttss\tstrand\tUTR5GC\n"
        "A\ta\tc1\t10\t+\t1\nB\tb\tc1\t189\t-\t1\nC\tc\tc1\t192\t+\t1\n"
    )
    given = {"genes": genome / "in.tsv"} if kind == "genes" else {"text": GENE_A + GENE_B + GENE_C}
    features = {"features": genome / "features.csv", "features_id": "Gene"}
    with caplog.at_level(logging.INFO):
        table = prepare(genome, **given, **features)
    expected = {
        "A": [0.3, -0.4, 0.01, -0.5, 0.47, 0.419, 0.393, 7.42],
        "C": [-0.1, -0.8, -0.3, 0.4, 0.625, 0.412, 0.368, 9.62],
    }
    assert {gene: row.tolist() for gene, row in table[list(MRNA_FEATURES)].iterrows()} == expected
    assert table["tss"].to_dict() == {"A": 10, "C": 192}
    assert "features.csv: mRNA features; dropped: 1 genes without" in caplog.text


def test_tables_of_features_that_do_not_fit(genome):
    features = {"features": genome / "features.csv", "features_id": "Gene"}
    (genome / "features.csv").write_text(FEATURE_TABLE + "A.2,x,1,1,1,1,1,1,1,1\n")
    with pytest.raises(
        UserError, match=r"features\.csv: gene 'A' occurs twice in 'Gene'; keep one"
    ):
        prepare(genome, GENE_A, **features)
    (genome / "features.csv").write_text(FEATURE_TABLE.replace("0.419", "high", 1))
    with pytest.raises(UserError, match=r"line 3, column 'CDSGC': 'high' is not a number"):
        prepare(genome, GENE_A, **features)
    (genome / "features.csv").write_text(FEATURE_TABLE.replace("CDSGC", "cds"))
    with pytest.raises(UserError, match=r"features\.csv: no column 'CDSGC'; the columns are Gene"):
        prepare(genome, GENE_A, **features)
    (genome / "features.csv").write_text(FEATURE_TABLE.replace("\nA,", "\nX,"))
    with pytest.raises(
        UserError, match=r"has none of the 1 genes .*; correct genome\.features, or r"
    ):
        prepare(genome, GENE_A, **features)
