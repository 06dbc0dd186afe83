"""The causal Mamba baseline: what it sees, and that what is left out changes nothing."""

import pytest
import torch

from seq2exp.model_config import CaduceusConfig, MambaConfig
from seq2exp.models import InputShape, build_model
from seq2exp.packing import Batch

SHAPE = InputShape(window_length=64, promoter_length=8, n_gene_features=3)
SIZES = {"d_model": 8, "d_state": 2, "layers": 2}


@pytest.fixture
def model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_model(MambaConfig(**SIZES), SHAPE).eval()


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    base = torch.randint(4, (2, 64), generator=generator)
    return Batch(
        sequence=torch.nn.functional.one_hot(base, 4).float(),
        signals=torch.rand(2, 64, 3, generator=generator),
        gene_features=torch.randn(2, 3, generator=generator),
        blacklist=torch.zeros(2, 64, dtype=torch.bool),
        label=torch.rand(2, generator=generator),
        index=torch.arange(2),
    )


def test_only_bases_up_to_the_promoters_end_matter(model, batch):
    sequence = batch.sequence.clone().requires_grad_()
    model(batch._replace(sequence=sequence)).prediction.sum().backward()
    seen = sequence.grad.abs().sum(-1)  # (B, L)
    assert (seen[:, 36:] == 0).all()  # the promoter is [28, 36)
    assert (seen[:, :36] > 0).all()


def test_the_half_that_is_not_computed_would_change_nothing(model, batch):
    with torch.no_grad():
        everywhere = model.backbone(model.embedding(batch.sequence))[:, 28:36]
        expected = model.head(everywhere, batch.gene_features)
        torch.testing.assert_close(model(batch).prediction, expected)


def test_a_layer_has_one_direction_and_so_half_the_scans_parameters(model):
    caduceus = build_model(CaduceusConfig(**SIZES), SHAPE)
    ours, both = (
        {name: weight.shape for name, weight in network.named_parameters()}
        for network in (model, caduceus)
    )
    assert ours == {name: shape for name, shape in both.items() if ".leftward." not in name}
    assert any(".leftward." in name for name in both)
