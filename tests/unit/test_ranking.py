import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from seq2exp.ranking import ScoreCounts


def counted(scores, positive):
    counts = ScoreCounts()
    counts.add(np.asarray(scores, dtype=np.float16), np.asarray(positive, dtype=bool))
    return counts


def test_worked_by_hand():
    # Descending: 0.9 (+), then 0.5 shared by + and -, then 0.1 (-).
    counts = counted([0.5, 0.9, 0.1, 0.5], [1, 1, 0, 0])
    assert counts.average_precision() == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert counts.auroc() == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert counts.base_rate == 0.5
    assert counts.total == 4


@pytest.mark.parametrize("ties", [4, 10_000])
def test_agrees_with_scikit_learn_in_several_additions(ties):
    rng = np.random.default_rng(0)
    positive = rng.random(5_000) < 0.1
    scores = (rng.integers(0, ties, 5_000) / ties * 50 + 3 * positive).astype(np.float16)
    counts = ScoreCounts()
    for part in np.array_split(np.arange(5_000), 7):
        counts.add(scores[part], positive[part])
    assert counts.average_precision() == pytest.approx(average_precision_score(positive, scores))
    assert counts.auroc() == pytest.approx(roc_auc_score(positive, scores))


def test_a_constant_score_says_nothing():
    counts = counted(np.full(10, 0.3), [1, 1, 1] + [0] * 7)
    assert counts.average_precision() == pytest.approx(counts.base_rate) == pytest.approx(0.3)
    assert counts.auroc() == 0.5


def test_one_class_has_no_ranking():
    assert counted([0.1, 0.2], [0, 0]).average_precision() is None
    assert counted([0.1, 0.2], [0, 0]).auroc() is None
    assert counted([0.1, 0.2], [1, 1]).auroc() is None
    assert ScoreCounts().base_rate is None


def test_minus_zero_is_zero():
    assert counted([-0.0, 0.0], [1, 0]).auroc() == 0.5


def test_negative_scores_are_refused():
    with pytest.raises(AssertionError, match="negative"):
        counted([-1.0, 0.0], [1, 0])


def test_how_many_score_as_much():
    counts = ScoreCounts()
    counts.add(
        np.array([0.5, 0.25, 0.5, 0], dtype=np.float16), np.array([True, False, False, True])
    )
    values, negatives, positives = counts.at_least()
    at = np.searchsorted(values, np.array([0, 0.25, 0.3, 0.5, 0.6], dtype=np.float16))
    assert negatives[at].tolist() == [2, 2, 1, 1, 0]
    assert positives[at].tolist() == [2, 1, 1, 1, 0]
