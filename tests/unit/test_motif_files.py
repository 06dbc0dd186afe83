"""Motifs from JASPAR and MEME files, and what is wrong with files that are neither."""

import gzip

import numpy as np
import pytest

from seq2exp.errors import UserError
from seq2exp.evidence.motif_files import read_motifs

JASPAR = """>MA0139.1\tCTCF
A  [ 1 0 10 ]
C  [ 3 10 0 ]
G  [ 2 0 0 ]
T  [ 4 0 10 ]

>MA1.2
1 2
1 0
1 2
1 0
"""
MEME = """MEME version 4

ALPHABET= ACGT

strands: + -

Background letter frequencies
A 0.25 C 0.25 G 0.25 T 0.25

MOTIF MA0139.1 CTCF
letter-probability matrix: alength= 4 w= 3 nsites= 10 E= 0
 0.1  0.3 0.2 0.4
 0 1 0 0
 5.0e-1 0 0 0.5
URL http://jaspar.genereg.net/matrix/MA0139.1

MOTIF MA1.2
letter-probability matrix: alength= 4 w= 2
0.25 0.25 0.25 0.25
0.5 0 0.5 0
"""
EXPECTED = [[0.1, 0.3, 0.2, 0.4], [0, 1, 0, 0], [0.5, 0, 0, 0.5]]


@pytest.mark.parametrize("text", [JASPAR, MEME], ids=["jaspar", "meme"])
@pytest.mark.parametrize("zipped", [False, True])
def test_both_formats_hold_the_same_motifs(tmp_path, text, zipped):
    path = tmp_path / "motifs.gz"
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    first, second = read_motifs(path)
    assert first[:2] == ("MA0139.1", "CTCF")
    np.testing.assert_allclose(first.probabilities, EXPECTED)
    assert second[:2] == ("MA1.2", "MA1.2")
    np.testing.assert_allclose(second.probabilities, [[0.25] * 4, [0.5, 0, 0.5, 0]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr1\t1\t2\n", "neither JASPAR"),
        (JASPAR.replace(" 4 0 10 ", " 4 0 "), "motif MA0139.1 is no matrix of A, C, G, T"),
        (JASPAR.replace("T  [ 4 0 10 ]\n", ""), "motif MA0139.1 is no matrix"),
        (JASPAR.replace("3 10", "3 0"), "motif MA0139.1 is no matrix"),  # a column of zeros
        (JASPAR.replace("[ 1 0", "[ -1 0"), "motif MA0139.1 is no matrix"),
        (JASPAR.replace(">MA1.2", ">MA0139.1"), "motif MA0139.1 occurs twice"),
        (JASPAR.replace(">MA1.2", ">"), "a motif without an identifier"),
        (MEME.replace("w= 3", "w= 4"), "motif MA0139.1 is no matrix"),
        (MEME.replace(" 0 1 0 0", " 0 1 0"), "motif MA0139.1 is no matrix"),
        ("MEME version 4\n", "no motif in it"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    path = tmp_path / "motifs.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_motifs(path)


def test_not_text(tmp_path):
    path = tmp_path / "motifs.gz"
    path.write_bytes(gzip.compress(JASPAR.encode())[:-20])
    with pytest.raises(UserError, match="unreadable"):
        read_motifs(path)
