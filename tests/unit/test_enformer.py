"""The Enformer baseline: what it reads of a window, what it averages, its settings."""

import sys

import pytest
import torch
from pydantic import ValidationError

from seq2exp.errors import UserError
from seq2exp.model_config import EnformerConfig
from seq2exp.models import InputShape, build_model
from seq2exp.models.enformer import centre_crop
from seq2exp.packing import Batch

SETTINGS = {"d_model": 24, "layers": 1, "heads": 2, "key_width": 4, "downsamples": 3}
SMALL = EnformerConfig(**SETTINGS)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def new_batch(length: int = 96) -> Batch:
    base = torch.randint(4, (3, length))
    return Batch(
        sequence=torch.nn.functional.one_hot(base, 4).float(),
        signals=torch.rand(3, length, 3),
        gene_features=torch.randn(3, 3),
        blacklist=torch.zeros(3, length, dtype=torch.bool),
        label=torch.rand(3),
        index=torch.arange(3),
    )


def test_published_sizes():
    """251,221,292 parameters of the library's default, without its two output heads."""
    heads = 3072 * (5313 + 1643) + (5313 + 1643)
    with torch.device("meta"):
        model = build_model(EnformerConfig(), InputShape(200_000, 2_000, 9))
    trunk = sum(parameter.numel() for parameter in model.trunk.parameters())
    assert trunk == 251_221_292 - heads


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (200_000, slice(1_696, 198_304)),  # 196,608
        (196_608, slice(0, 196_608)),
        (100_000, slice(16, 99_984)),  # 781 positions
        (2_000, slice(40, 1_960)),  # 15 positions
    ],
)
def test_the_middle_is_read_in_whole_positions(length, expected):
    crop = centre_crop(length, EnformerConfig())
    assert crop == expected
    assert crop.start + crop.stop == length


def test_only_the_middle_matters():
    config = EnformerConfig(**SETTINGS, most_bases=64)
    model, batch = build_model(config, InputShape(96, 16, 3)).eval(), new_batch()
    sequence = batch.sequence.clone().requires_grad_()
    model(batch._replace(sequence=sequence)).prediction.sum().backward()
    seen = sequence.grad.abs().sum(-1)  # (B, L)
    assert (seen[:, :16] == 0).all()
    assert (seen[:, 80:] == 0).all()
    assert (seen[:, 16:80] > 0).all()


def test_the_head_reads_the_mean_of_all_embeddings():
    model, batch = build_model(SMALL, InputShape(96, 16, 3)).eval(), new_batch()
    with torch.no_grad():
        embeddings = model.trunk(batch.sequence)
        assert embeddings.shape == (3, 12, 48)
        pooled = torch.cat([embeddings.mean(dim=1), batch.gene_features], dim=-1)
        expected = model.head.mlp(pooled).squeeze(-1)
        torch.testing.assert_close(model(batch).prediction, expected)


def test_the_shortest_window():
    shape = InputShape(SMALL.least_length, 8, 3)
    batch = new_batch(SMALL.least_length)
    output = build_model(SMALL, shape)(batch)
    assert SMALL.least_length == 16
    assert output.prediction.isfinite().all()


def test_dropout_follows_the_batchs_seeds_and_leaves_the_callers_randomness():
    model, batch = build_model(SMALL, InputShape(96, 16, 3)), new_batch()
    before = torch.random.get_rng_state()
    one, again, other = (
        model(batch._replace(seeds=seeds)).prediction for seeds in ((1, 2, 3), (1, 2, 3), (4, 5, 6))
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 3}, "d_model 24 must be a multiple of 6 x heads = 18"),
        (
            {"most_bases": 15},
            "most_bases 15 must be 16 or more, two positions after 3 downsamples",
        ),
        ({"downsamples": 2}, "greater than or equal to 3"),
    ],
)
def test_impossible_settings(changes, message):
    with pytest.raises(ValidationError, match=message):
        EnformerConfig(**{**SETTINGS, **changes})


def test_without_the_library_the_remedy_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "enformer_pytorch", None)
    with pytest.raises(UserError, match="pip install enformer-pytorch, or drop the model") as error:
        build_model(SMALL, InputShape(96, 16, 3))
    assert "\n" not in str(error.value)
