"""Long convolutions: against the direct sum, causal, and with filters that decay as they should."""

import math

import pytest
import torch

from seq2exp.model_config import HyenaConfig
from seq2exp.models import InputShape, build_model
from seq2exp.models.hyena import HyenaOperator, LongFilter, causal_convolution, fast_length
from seq2exp.packing import Batch

SMALL = HyenaConfig(d_model=8, layers=2, filter_width=6)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def new_batch(length: int, dtype: torch.dtype = torch.float32) -> Batch:
    base = torch.randint(4, (2, length))
    return Batch(
        sequence=torch.nn.functional.one_hot(base, 4).to(dtype),
        signals=torch.rand(2, length, 3, dtype=dtype),
        gene_features=torch.randn(2, 3, dtype=dtype),
        blacklist=torch.zeros(2, length, dtype=torch.bool),
        label=torch.rand(2, dtype=dtype),
        index=torch.arange(2),
    )


# --------------------------------------------------------------------------- convolution


@pytest.mark.parametrize("length", [1, 2, 5, 33, 100])
def test_convolution_is_the_direct_sum(length):
    u, h = torch.randn(2, 3, length, dtype=torch.float64), torch.randn(3, length).double()
    expected = torch.zeros_like(u)
    for t in range(length):
        for s in range(t + 1):
            expected[..., t] += h[:, s] * u[..., t - s]
    torch.testing.assert_close(causal_convolution(u, h), expected, rtol=1e-10, atol=1e-10)


def test_convolution_by_hand():
    u, h = torch.tensor([[[1.0, 2.0, 3.0]]]), torch.tensor([[10.0, 1.0, 0.5]])
    expected = torch.tensor([[[10.0, 21.0, 32.5]]])
    torch.testing.assert_close(causal_convolution(u, h), expected)
    half = causal_convolution(u.bfloat16(), h)
    assert half.dtype == torch.float32


def test_gradients_of_the_operator():
    operator = HyenaOperator(SMALL, window_length=7).double()
    u = torch.randn(1, 7, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(operator, u, fast_mode=True)
    names, values = zip(*operator.named_parameters(), strict=True)

    def of_parameters(*values):
        return torch.func.functional_call(operator, dict(zip(names, values, strict=True)), u)

    assert torch.autograd.gradcheck(of_parameters, values, fast_mode=True)


def test_transforms_have_room_and_lengths_of_small_factors():
    for length in [*range(1, 300), 201_999, 399_999]:
        size = fast_length(length)
        assert length <= size <= max(8, 1.25 * length)
        odd = size // (size & -size)
        assert odd in (1, 3, 5, 7)


# --------------------------------------------------------------------------- filters


def test_filters_decay_to_a_hundredth_after_0_3_to_1_5_windows():
    long = LongFilter(SMALL, window_length=1001)
    assert torch.exp(-long.decay * 0.3)[-1].item() == pytest.approx(0.01)
    assert torch.exp(-long.decay * 1.5)[0].item() == pytest.approx(0.01)
    with torch.no_grad():  # a constant network leaves the decay alone
        for parameter in long.network[:-1].parameters():
            parameter.zero_()
        long.network[-2].frequency.fill_(1.0)
        long.network[-3].bias.fill_(math.pi / 2)  # sin = 1
        long.network[-1].weight.fill_(0.5)
        h = long(1001)  # (d, L)
    assert h[:, 0].tolist() == pytest.approx([3.0] * 8)
    torch.testing.assert_close(h[:, 1000] / h[:, 0], torch.exp(-long.decay))
    torch.testing.assert_close(h[:, 300] / h[:, 0], torch.exp(-long.decay * 0.3))


def test_filters_are_a_function_of_the_share_of_the_window():
    config = SMALL.model_copy(update={"filter_frequencies": 1})  # so slow that it is a constant
    coarse, fine = LongFilter(config, 11), LongFilter(config, 101)
    fine.load_state_dict(coarse.state_dict())
    torch.testing.assert_close(coarse(11), fine(101)[:, ::10], rtol=1e-3, atol=1e-3)
    assert coarse(11).std(dim=-1).min() > 1e-2


def test_filters_in_bfloat16_are_those_in_float32():
    long = LongFilter(SMALL, window_length=4096)
    exact = long(4096)
    with torch.autocast("cpu", torch.bfloat16):
        found = long(4096)
    assert torch.equal(found, exact)


# --------------------------------------------------------------------------- model


@pytest.mark.parametrize("position", [0, 10, 31, 63])
def test_operator_is_causal(position):
    operator = HyenaOperator(SMALL, window_length=64).double()
    u = torch.randn(1, 64, 8, dtype=torch.float64)
    changed = u.clone()
    changed[:, position] += 1
    difference = (operator(changed) - operator(u)).abs().amax(dim=-1)[0]  # (L,)
    assert (difference[:position] < 1e-12).all()
    assert (difference[position:] > 1e-6).all()


def test_only_bases_up_to_the_promoters_end_matter():
    model = build_model(SMALL, InputShape(64, 8, 3)).double()
    batch = new_batch(64, torch.float64)
    sequence = batch.sequence.clone().requires_grad_()
    model(batch._replace(sequence=sequence)).prediction.sum().backward()
    seen = sequence.grad.abs().sum(-1)  # (B, L)
    assert (seen[:, 36:] == 0).all()  # the promoter is [28, 36)
    assert (seen[:, :36] > 0).all()


def test_the_half_that_is_not_computed_would_change_nothing():
    model, batch = build_model(SMALL, InputShape(64, 8, 3)), new_batch(64)
    with torch.no_grad():
        hidden = model.embedding(batch.sequence)
        for block in model.blocks:
            hidden = block(hidden)
        expected = model.head(model.norm(hidden)[:, 28:36], batch.gene_features)
        torch.testing.assert_close(model(batch).prediction, expected, rtol=1e-4, atol=1e-5)


def test_gradients_with_recomputed_blocks_are_those_without():
    model, batch = build_model(SMALL, InputShape(64, 8, 3)).double(), new_batch(64, torch.float64)
    parameters = list(model.parameters())
    found = torch.autograd.grad(model(batch).prediction.sum(), parameters)
    hidden = model.embedding(batch.sequence[:, :36])
    for block in model.blocks:
        hidden = block(hidden)
    prediction = model.head(model.norm(hidden[:, 28:]), batch.gene_features)
    expected = torch.autograd.grad(prediction.sum(), parameters)
    torch.testing.assert_close(found, expected)


def test_parameters_do_not_depend_on_the_window():
    states = [build_model(SMALL, InputShape(n, 8, 3)).state_dict() for n in (64, 4096)]
    sizes = [{name: value.shape for name, value in state.items()} for state in states]
    assert sizes[0] == sizes[1]


def test_size_of_the_papers_model():
    """4 blocks of d 128: operator 4 d^2 + 4 d, short 3 d x 4, filter, D; MLP 8 d^2 + 5 d; norms."""
    d = 128
    filters = 5 * 64 + 64 + 2 * (64 * 64 + 64) + 3 * 64 + 64 * d
    block = 4 * d * d + 4 * d + 3 * d * 4 + filters + d + 8 * d * d + 5 * d + 4 * d
    head = (d + 9) * d + d + d * d + d + d + 1
    model = build_model(HyenaConfig(), InputShape(200_000, 2_000, 9))
    expected = 5 * d + 4 * block + 2 * d + head
    assert sum(parameter.numel() for parameter in model.parameters()) == expected


def test_residual_stream_starts_small():
    """Projections of standard deviation 0.02, the last ones over sqrt(2 layers)."""
    model = build_model(HyenaConfig(), InputShape(2_000, 2_000, 9))
    block = model.blocks[0]
    assert block.mixer.in_proj.weight.std().item() == pytest.approx(0.02, rel=0.02)
    for last in (block.mixer.out_proj, block.mlp[-1]):
        assert last.weight.std().item() == pytest.approx(0.02 / math.sqrt(8), rel=0.03)
