"""What the settings of all kinds of model share."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import AfterValidator

from seq2exp.config_types import PositiveInt, Strict

Signal = Literal["h3k27ac", "dnase", "hic"]
SIGNALS: tuple[Signal, ...] = get_args(Signal)
"""In the order of `Batch.signals`."""
Evidence = Literal["sequence", "signals"]


def once_each(values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a name that is listed twice; the order is always the same."""
    if len(set(values)) != len(values):
        raise ValueError("a name is listed twice; remove one")
    known = (*SIGNALS, *get_args(Evidence))
    return tuple(sorted(values, key=known.index))


class AnyModelConfig(Strict):
    """What the workflow asks of every kind."""

    has_mask: ClassVar[bool] = False
    """Whether the model says which bases it used: masks, and regions from them."""

    @property
    def needs_peaks(self) -> bool:
        """Whether the model reads DNase peaks, which every cell line must then have."""
        return False

    @property
    def mask_parts(self) -> tuple[str, ...]:
        """Parts of the mask that are kept beside it, by the names of the mask store."""
        return ()


class NetworkConfig(AnyModelConfig):
    """What every neural model shares: its view of the window, and its width."""

    window_length: PositiveInt | None = None
    """Centre crop of the stored window; all of it when left out."""
    signal_transform: Literal["raw", "log1p"] = "raw"
    """How the network sees the signals (the paper: raw). The Beta prior always keeps raw values."""
    signals: Annotated[tuple[Signal, ...], AfterValidator(once_each)] = SIGNALS
    """Signals that the model has; the others are 0 to it, in training and after. Promoter activity,
    sqrt(H3K27ac x DNase), needs both of these."""
    d_model: PositiveInt = 128

    @property
    def width_times_layers(self) -> int:
        """Size of the network for estimates of memory and time: d_model, once a Mamba layer."""
        raise NotImplementedError

    def bases_read(self, window_length: int) -> int:
        """Bases that its layers go through for one window, for the same estimates."""
        return window_length

    @property
    def least_length(self) -> int:
        """The shortest window that the network can read, in bp."""
        return 1


class MambaNetworkConfig(NetworkConfig):
    """A network of Mamba layers: the sizes of one."""

    d_state: PositiveInt = 16
    d_conv: PositiveInt = 4
    expand: PositiveInt = 2
