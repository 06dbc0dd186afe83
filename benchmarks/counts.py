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
"""

from typing import NamedTuple

FORWARD_ROWS, BACKWARD_ROWS = 23, 55


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
