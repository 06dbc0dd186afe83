"""Small settings of every kind of model, for tests that hold for all of them."""

from pydantic import TypeAdapter

from seq2exp.model_config import ModelConfig, NetworkConfig, Seq2ExpSoftConfig
from seq2exp.models import MODELS

TINY = {"d_model": 8, "d_state": 2}
ENFORMER = {"d_model": 24, "layers": 1, "heads": 2, "key_width": 4, "downsamples": 4}


def config_of(kind: str, **settings):
    """Settings of one kind, tiny where it is a network; as after loading a checkpoint."""
    if kind == "seq2exp_retrain":
        settings = {"mask_from": "soft", "source": Seq2ExpSoftConfig(**TINY), **settings}
    tiny = {"hyena": {"d_model": 8}, "enformer": ENFORMER, "signal_linear": {}}.get(kind, TINY)
    return TypeAdapter(ModelConfig).validate_python({"kind": kind, **tiny, **settings})


NETWORKS = sorted(kind for kind in MODELS if isinstance(config_of(kind), NetworkConfig))
