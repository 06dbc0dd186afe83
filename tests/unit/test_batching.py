from itertools import chain

from seq2exp.batching import ShuffledBatches, consecutive_batches


def test_each_epoch_is_a_permutation():
    batches = list(ShuffledBatches(10, 5, steps=6, seed=3))
    for epoch in range(3):
        assert sorted(chain(*batches[2 * epoch : 2 * epoch + 2])) == list(range(10))
    assert batches[:2] != batches[2:4]


def test_last_small_batch_is_dropped_unless_it_is_the_only_one():
    assert [len(b) for b in ShuffledBatches(11, 4, steps=4, seed=0)] == [4, 4, 4, 4]
    assert [len(b) for b in ShuffledBatches(3, 8, steps=2, seed=0)] == [3, 3]


def test_continues_where_an_earlier_part_stopped():
    whole = list(ShuffledBatches(23, 4, steps=40, seed=7))
    for first_step in (1, 5, 17, 39):
        rest = ShuffledBatches(23, 4, steps=40, seed=7, first_step=first_step)
        assert list(rest) == whole[first_step:]
        assert len(rest) == 40  # Lightning counts the earlier steps as fetched


def test_seed_decides_the_order():
    assert list(ShuffledBatches(20, 4, steps=5, seed=1)) != list(
        ShuffledBatches(20, 4, steps=5, seed=2)
    )


def test_consecutive_batches_cover_all_windows_once():
    assert [list(b) for b in consecutive_batches(7, 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [list(b) for b in consecutive_batches(6, 3)] == [[0, 1, 2], [3, 4, 5]]
