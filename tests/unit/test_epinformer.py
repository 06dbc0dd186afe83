"""EPInformer: its network against a plain one, what it reads of a window, a whole training."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from seq2exp.model_config import EPInformerConfig, PeaksMaskConfig
from seq2exp.models import InputShape, build_model
from seq2exp.models.epinformer import ElementNetwork
from seq2exp.packing import unpack
from seq2exp.resources import network_mb
from seq2exp.windows import WindowDataset
from tests import golden, golden_epinformer

from .tiny_training import run_training

SMALL = EPInformerConfig(
    max_elements=4,
    element_length=208,
    core_length=100,
    min_distance=150,
    encoder_widths=(12, 10, 8),
    d_model=32,
    attention_layers=2,
    heads=2,
    head_width=16,
    signal_transform="log1p",
)
SHAPE = InputShape(window_length=1_000, promoter_length=200, n_gene_features=9)
GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "epinformer.npz"


# --------------------------------------------------------------------------- the network


def plain_norm(x, weights, name, training, kept=(0, 2)):
    """Batch norm over windows, elements and positions; running figures in evaluation."""
    if training:
        mean, var = x.mean(kept, keepdim=True), x.var(kept, unbiased=False, keepdim=True)
    else:
        mean, var = (weights[f"{name}.running_{k}"][None, :, None] for k in ("mean", "var"))
    scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return (x - mean) / (var + 1e-5).sqrt() * scale[None, :, None] + shift[None, :, None]


def plain_layer_norm(x, weights, name):
    centred = x - x.mean(-1, keepdim=True)
    normed = centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
    return normed * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def plain_linear(x, weights, name):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def plain_conv(x, weights, name, **how):
    return F.conv1d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], **how)


def plain_attention(x, weights, name, present, heads):
    """One window (1 + E, d): every row looks at the promoter and itself, the promoter at all."""
    width = x.shape[1] // heads
    projected = x @ weights[f"{name}.in_proj_weight"].T + weights[f"{name}.in_proj_bias"]
    queries, keys, values = projected.chunk(3, dim=-1)
    rows = []
    for i in range(len(x)):
        seen = [j for j in range(len(x)) if present[j] and (i == 0 or j in (0, i))]
        parts = []
        for head in range(heads):
            own = slice(head * width, (head + 1) * width)
            logits = torch.stack([queries[i, own] @ keys[j, own] for j in seen]) / math.sqrt(width)
            shares = logits.softmax(0)
            parts.append(sum(share * values[j, own] for share, j in zip(shares, seen, strict=True)))
        rows.append(torch.cat(parts))
    return plain_linear(torch.stack(rows), weights, f"{name}.out_proj")


def plain_network(weights, config, sequences, present, features, gene_features, training):
    """The network as Lin et al. describe it, a gene and an element at a time where possible."""
    windows, elements = present.shape
    x = sequences.reshape(windows * elements, -1, 4).transpose(1, 2)
    x = F.elu(plain_conv(F.pad(x, (3, 4)), weights, "encoder.stem"))
    for block in range(len(config.encoder_widths) - 1):
        name = f"encoder.blocks.{block}"
        x = plain_conv(x, weights, f"{name}.conv", padding=1)
        x = F.elu(plain_norm(x, weights, f"{name}.norm", training))
        x = torch.maximum(x[..., 0::2][..., : x.shape[-1] // 2], x[..., 1::2])
        x = x + F.elu(plain_conv(x, weights, f"{name}.pointwise"))
    for i, dilation in enumerate((2, 4, 6, 1)):
        x = plain_conv(x, weights, f"reader.convs.{i}", dilation=dilation)
        x = F.elu(plain_norm(x, weights, f"reader.norms.{i}", training))
    x = F.elu(plain_linear(x, weights, "reader.positions")).reshape(windows, elements, -1)
    x = torch.cat([x, features], dim=-1)
    x = plain_linear(x, weights, "mix_features.0").relu()
    x = plain_linear(x, weights, "mix_features.2").relu()
    predictions = []
    for row in range(windows):
        y = x[row]
        for layer in range(config.attention_layers):
            name = f"layers.{layer}"
            normed = plain_layer_norm(y, weights, f"{name}.norm1")
            y = y + plain_attention(
                normed, weights, f"{name}.attention", present[row], config.heads
            )
            normed = plain_layer_norm(y, weights, f"{name}.norm2")
            wide = plain_linear(normed, weights, f"{name}.feed_forward.0").relu()
            y = y + plain_linear(wide, weights, f"{name}.feed_forward.2")
        z = torch.cat([y[0], gene_features[row]])
        z = plain_linear(z, weights, "head.mlp.0").relu()
        z = plain_linear(z, weights, "head.mlp.2").relu()
        predictions.append(plain_linear(z, weights, "head.mlp.4").squeeze())
    return torch.stack(predictions)


def random_elements(config, windows=3, dtype=torch.float64):
    generator = torch.Generator().manual_seed(5)
    elements = 1 + config.max_elements
    base = torch.randint(4, (windows, elements, config.element_length), generator=generator)
    present = torch.rand(windows, elements, generator=generator) < 0.6
    present[:, 0] = True
    sequences = F.one_hot(base, 4).to(dtype) * present[..., None, None]
    features = torch.randn(windows, elements, 3, generator=generator, dtype=dtype)
    gene_features = torch.randn(windows, 9, generator=generator, dtype=dtype)
    return sequences, present, features * present[..., None], gene_features


@pytest.fixture
def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(8)
        network = ElementNetwork(SMALL, SHAPE).double()
        for name, buffer in network.named_buffers():
            if "running" in name:
                torch.nn.init.uniform_(buffer, 0.5, 1.5)
    return network


@pytest.mark.parametrize("training", [False, True])
def test_network_and_gradients_are_those_of_a_plain_one(network, training):
    given = random_elements(SMALL)
    weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
    names = [name for name, _ in network.named_parameters()]
    for name in names:
        weights[name].requires_grad_()
    ours = network.train(training)(*given)
    plain = plain_network(weights, SMALL, *given, training)
    torch.testing.assert_close(ours.double(), plain, rtol=0, atol=1e-6)  # ours ends in float32
    ours.pow(2).sum().backward()
    plain.pow(2).sum().backward()
    for name, parameter in network.named_parameters():
        scale = weights[name].grad.abs().max().item()
        assert scale > 0, name
        error = (parameter.grad - weights[name].grad).abs().max().item()
        # Of what a norm takes away again, the gradient is rounding.
        assert error <= 1e-5 * max(scale, 1e-4), name


def test_golden_file_tells_wrong_networks():
    """One of its two genes, read wrongly; `tests/unit/test_golden.py` reads it rightly."""
    with np.load(GOLDEN) as archive:
        content = dict(archive)
    given = {name: value[:1] for name, value in golden.section(content, "in.").items()}
    network, inputs = golden_epinformer.read(golden.section(content, "weights."), given)
    sequences, present, features, gene_features = inputs
    with torch.no_grad():
        for wrong in (
            (sequences, torch.ones_like(present), features, gene_features),
            (sequences, present, features[..., [1, 0, 2]], gene_features),
            (sequences.roll(1, dims=2), present, features, gene_features),
        ):
            error = network(*wrong).item() - content["out.prediction"][0, 0]
            assert abs(error) > golden.OUTPUT_TOLERANCE


def test_order_and_absent_elements_do_not_matter(network):
    sequences, present, features, gene_features = random_elements(SMALL)
    before = network.eval()(sequences, present, features, gene_features)
    order = torch.tensor([0, 3, 1, 4, 2])
    moved = (part[:, order] for part in (sequences, present, features))
    torch.testing.assert_close(network(*moved, gene_features), before, rtol=0, atol=1e-6)
    wider = (F.pad(sequences, (0, 0, 0, 0, 0, 2)), F.pad(present, (0, 2)))
    after = network(*wider, F.pad(features, (0, 0, 0, 2)), gene_features)
    torch.testing.assert_close(after, before, rtol=0, atol=1e-6)
    changed = sequences + 1.0 * (~present)[..., None, None]
    torch.testing.assert_close(
        network(changed, present, features, gene_features), before, rtol=0, atol=1e-6
    )


# --------------------------------------------------------------------------- a window


@pytest.fixture
def batch(training_data):
    dataset = WindowDataset(training_data / "store", np.arange(6), "CAGE")
    return unpack(dataset.read(range(6)), contact_bin=200, has_peaks=True)


def build(config=SMALL):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return build_model(config, SHAPE)


def test_what_is_read_of_a_window(batch):
    model = build()
    sequences, present, features = model.elements(batch)
    assert sequences.shape == (6, 5, 208, 4)
    assert torch.equal(sequences[:, 0], batch.sequence[:, 500 - 104 : 500 + 104])
    assert present[:, 0].all()
    assert not features[:, 0].any()
    assert 6 < present.sum() < 30  # some elements are there, others are not
    assert not sequences[~present].any()
    assert not features[~present].any()
    row, slot = (int(i) for i in present[:, 1:].nonzero()[0] + torch.tensor([0, 1]))
    distance, contact, activity = features[row, slot].tolist()
    for centre in (500 + round(1000 * distance), 500 - round(1000 * distance)):
        start, end = max(centre - 104, 0), min(centre + 104, 1_000)
        expected = torch.zeros(208, 4)
        expected[start - centre + 104 : end - centre + 104] = batch.sequence[row, start:end]
        if torch.equal(expected, sequences[row, slot]):
            break
    else:
        pytest.fail("no place at this distance has the sequence")
    assert contact == pytest.approx(batch.signals[row, centre, 2].item())
    core = batch.signals[row, centre - 50 : centre + 50, :2].double()
    core = core * ~batch.blacklist[row, centre - 50 : centre + 50, None]
    assert activity == pytest.approx(math.log1p(core.mean(0).prod().sqrt().item()), rel=1e-5)
    raw = build(SMALL.model_copy(update={"signal_transform": "raw"})).elements(batch)[2]
    torch.testing.assert_close(raw[..., 2].log1p(), features[..., 2])


def test_candidates_without_peaks(batch):
    config = EPInformerConfig(**{**SMALL.model_dump(), "elements": "signal"})
    assert (SMALL.needs_peaks, config.needs_peaks) == (True, False)
    model = build(config).eval()
    _, present, _ = model.elements(batch._replace(peaks=None))
    assert present[:, 1:].any()
    assert torch.isfinite(model(batch._replace(peaks=None)).prediction).all()


@pytest.mark.parametrize("elements", ["peaks", "signal"])
def test_a_window_without_elements_or_bases_is_finite(batch, elements):
    config = EPInformerConfig(**{**SMALL.model_dump(), "elements": elements})
    model = build(config)
    empty = batch._replace(
        sequence=torch.zeros_like(batch.sequence),
        signals=torch.zeros_like(batch.signals),
        peaks=torch.zeros_like(batch.peaks),
    )
    for training in (True, False):
        output = model.train(training)(empty)
        output.prediction.sum().backward()
        assert torch.isfinite(output.prediction).all()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_every_parameter_gets_a_gradient(batch):
    model = build().train()
    model(batch).prediction.pow(2).sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_bfloat16_is_finite_and_chooses_the_same_elements(batch):
    model = build().train()
    exact = model.elements(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model.elements(batch)
        prediction = model(batch).prediction
    assert all(torch.equal(a, b) for a, b in zip(exact, rounded, strict=True))
    prediction.sum().backward()
    assert prediction.dtype == torch.float32
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("seed", [2, 22, 222])
def test_a_training_is_finite(training_data, tmp_path, seed):
    metrics = run_training(training_data, tmp_path, model=SMALL, seed=seed)
    assert np.isfinite([metrics[split]["mse"] for split in ("valid", "test")]).all()
    assert metrics["test"]["mask_ratio"] is None


# --------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"heads": 3}, "heads 3 must divide d_model 64"),
        ({"d_model": 48}, "multiple of 32"),
        ({"element_length": 384}, r"384 is too short for 4 halvings .* takes 400, or fewer"),
        ({"element_length": 401}, "multiple of 2"),
        ({"d_state": 16}, "Extra inputs"),
        ({"elements": "signal", "signals": ["hic"]}, "needs h3k27ac or dnase in signals; add one"),
    ],
)
def test_impossible_sizes(settings, message):
    with pytest.raises(ValidationError, match=message):
        EPInformerConfig(**settings)
    assert EPInformerConfig(element_length=400).pooled_positions == 25


def test_size_for_estimates():
    # 2 x 256 + 6 x (128 + 64 / 2 + 64 / 4 + 128 / 8) floats a base, over 24.
    assert EPInformerConfig().width_times_layers == math.ceil((512 + 6 * 192) / 24) == 70
    assert EPInformerConfig().bases_read(200_000) == 61 * 2_000
    assert PeaksMaskConfig(d_model=16, predictor_layers=3).width_times_layers == 48
    assert PeaksMaskConfig().bases_read(200_000) == 200_000


def test_memory_estimate_is_of_the_size_of_what_is_kept(batch):
    config = EPInformerConfig(**{**SMALL.model_dump(), "encoder_widths": (64, 48, 32)})
    model, kept = build(config).train(), {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        prediction = model(batch).prediction
    prediction.sum().backward()
    estimate = network_mb(config, 6 * config.bases_read(1_000), training=True)
    assert 0.85 < estimate / (sum(kept.values()) / 1e6) < 2.5
