"""What a bidirectional layer must at least compute and move, counted from its sizes.

Per position. Products: the in-projection 4 d E operations, x_proj 2 E (R + 2 N) and dt_proj 2 R E
in either direction, the out-projection 2 E d. The scan: E N exponentials in either direction.
A backward pass has twice the products and, because the states are computed again, the same
exponentials; ours computes the forward products but the out-projection's once more.

Bytes: every pass over an (E,)-wide row of activations, read or written, one pass a fused function:

| | forward | backward |
| --- | --- | --- |
| in-projection | 2 | 2 again + 4 |
| either direction: convolution 2, x_proj 1, dt_proj 1, scan 3 | 14 | |
| either direction again: 4; scan 5, projections 5, convolution 3, sum 3 | | 40 |
| sum of the directions | 3 | |
| gate 3, out-projection 1 | 4 | 6 + 3 |
| all | 23 | 55 |

Rows of d, N and R are left out: under a tenth of that.

`python -m benchmarks.counts` holds all of Seq2Exp-soft, a batch of 8 windows of 200 kb, against what an
H200 does a second: its matrix units (790 TFLOP/s of bf16), its memory (4.3 TB/s), its special function
units (132 multiprocessors x 16 exponentials a cycle at 1.98 GHz). A step takes at least the longest of
the three, if all overlap, and their sum, if nothing does.
"""

from typing import NamedTuple

FORWARD_ROWS, BACKWARD_ROWS = 23, 55
H200 = {"flops": 790e12, "bytes": 4.3e12, "exponentials": 132 * 16 * 1.98e9}
POSITIONS, LAYERS, WIDTH = 8 * 200_000, 8, 128


class Counts(NamedTuple):
    """Of some layers over some positions."""

    flops: float
    exponentials: float
    bytes: float

    def times(self, layers: int) -> "Counts":
        """Of several such layers."""
        return Counts(*(layers * count for count in self))

    def least_seconds(self, rates: dict[str, float]) -> dict[str, float]:
        """Seconds of each kind of work alone, where a rate a second is known."""
        return {
            name: count / rates[name] for name, count in self._asdict().items() if name in rates
        }


def layer_counts(
    positions: int, *, d: int, N: int = 16, expand: int = 2, width: int, backward: bool
) -> Counts:
    """Count one layer.

    Parameters
    ----------
    positions : batch x window length
    d, N, expand : model width, state size, E / d
    width : bytes of an activation
    backward : whether the backward pass is counted as well
    """
    E, R = expand * d, -(-d // 16)
    inner = 4 * d * E + 2 * (2 * E * (R + 2 * N) + 2 * R * E)
    products = inner + 2 * E * d
    flops = products + (2 * products + inner if backward else 0)
    exponentials = 2 * E * N * (2 if backward else 1)
    rows = FORWARD_ROWS + (BACKWARD_ROWS if backward else 0)
    return Counts(positions * flops, positions * exponentials, positions * rows * E * width)


def full_size_seconds(*, backward: bool) -> dict[str, float]:
    """Least seconds of each kind of work on an H200: of a training step, or of a prediction."""
    counts = layer_counts(POSITIONS, d=WIDTH, width=2, backward=backward).times(LAYERS)
    return counts.least_seconds(H200)


def main() -> None:
    for name, backward in (("training step", True), ("prediction", False)):
        seconds = full_size_seconds(backward=backward)
        parts = ", ".join(f"{what} {1000 * s:.0f}" for what, s in seconds.items())
        longest, total = 1000 * max(seconds.values()), 1000 * sum(seconds.values())
        print(f"{name}, ms: {parts}; longest {longest:.0f}, sum {total:.0f}")


if __name__ == "__main__":
    main()
