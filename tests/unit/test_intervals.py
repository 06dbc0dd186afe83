"""Operations on tables of intervals against loops over all pairs and all bases."""

import numpy as np
import pandas as pd
import pytest

from seq2exp.evidence.intervals import cluster, overlapping_rows, union


def random_places(rng, n):
    start = rng.integers(0, 200, n)
    return pd.DataFrame(
        {
            "chrom": rng.choice(["chr1", "chr2", "chr10"], n),
            "start": start,
            "end": start + rng.integers(1, 30, n),
            "gene": rng.choice(["A", "B"], n),
        }
    )


@pytest.mark.parametrize("keys", [("chrom",), ("chrom", "gene")])
def test_overlaps_against_a_loop(keys):
    rng = np.random.default_rng(1)
    first, second = random_places(rng, 60), random_places(rng, 40)
    expected = {
        (i, j)
        for i, a in enumerate(first.itertuples())
        for j, b in enumerate(second.itertuples())
        if a.start < b.end and b.start < a.end and all(getattr(a, k) == getattr(b, k) for k in keys)
    }
    found = list(zip(*overlapping_rows(first, second, keys), strict=True))
    assert set(found) == expected
    assert len(found) == len(expected) > 0


def test_union_has_the_bases_of_all_and_runs_do_not_overlap():
    places = random_places(np.random.default_rng(2), 60)
    merged = union(places)

    def bases(table):
        return [(p.chrom, i) for p in table.itertuples() for i in range(p.start, p.end)]

    assert set(bases(merged)) == set(bases(places))
    assert len(bases(merged)) == len(set(bases(merged)))
    assert len(set(cluster(places))) == len(merged)


def test_touching_intervals_stay_apart():
    places = pd.DataFrame({"chrom": "chr1", "start": [10, 0, 19], "end": [20, 10, 30]})
    ids = cluster(places)
    assert ids[0] == ids[2] != ids[1]
    assert union(places)[["start", "end"]].to_numpy().tolist() == [[0, 10], [10, 30]]


def test_nothing_overlaps_nothing():
    places = random_places(np.random.default_rng(3), 5)
    nothing = places.head(0)
    assert [len(rows) for rows in overlapping_rows(places, nothing)] == [0, 0]
    assert union(nothing).empty
