"""Settings of every kind of model, with changes, for tests that hold for all of them."""

from pydantic import TypeAdapter

from seq2exp.model_config import ModelConfig, NetworkConfig
from seq2exp.models import MODELS
from tests.tiny_models import SETTINGS


def config_of(kind: str, **settings):
    """Tiny settings of one kind, some of them changed; as after loading a checkpoint."""
    changed = {"kind": kind, **SETTINGS[kind], **settings}
    return TypeAdapter(ModelConfig).validate_python(changed)


NETWORKS = sorted(kind for kind in MODELS if isinstance(config_of(kind), NetworkConfig))
