import math

import pytest
import torch
from scipy import integrate, stats

from seq2exp.bottleneck import (
    BetaParameters,
    apply_fixed_bases,
    bottleneck_kl,
    draw_mask,
    promoter_slice,
    sequence_evidence,
    signal_prior,
)

SIGNAL_BETAS = torch.tensor([1.5, 0.2, 1.0])
WEIGHTS = torch.tensor([2.0, 2.0, 1.0]) / 5


def test_signal_prior_by_hand():
    signals = torch.tensor([[[10.0, 4.0, 0.5], [0.0, 0.0, 0.0]]])
    prior = signal_prior(signals, SIGNAL_BETAS, WEIGHTS, scale=10, beta_min=1)
    # (11 * 2 + 5 * 2 + 1.5) / 5 * 10 and (1 * 5) / 5 * 10
    assert prior.alpha[0].tolist() == pytest.approx([67.0, 10.0])
    # (2.5 * 2 + 1.2 * 2 + 2.0) / 5 * 10
    assert prior.beta[0].tolist() == pytest.approx([18.8, 18.8])
    assert prior.mean()[0, 0].item() == pytest.approx(67 / 85.8)


def test_sequence_evidence_takes_beta_first():
    evidence = sequence_evidence(torch.tensor([[[0.0, math.log(math.e - 1)]]]), beta_min=1.0)
    assert evidence.beta.item() == pytest.approx(math.log(2) + 1)
    assert evidence.alpha.item() == pytest.approx(2.0)


@pytest.mark.parametrize(("alpha", "beta"), [(12.0, 30.0), (2.5, 1.5), (100.0, 4.0)])
def test_kl_agrees_with_numerical_integration(alpha, beta):
    mask, marginal = stats.beta(alpha, beta), stats.beta(10, 90)
    expected, _ = integrate.quad(
        lambda m: mask.pdf(m) * (mask.logpdf(m) - marginal.logpdf(m)), 1e-9, 1 - 1e-9, limit=200
    )
    parameters = BetaParameters(torch.full((2, 3), alpha), torch.full((2, 3), beta))
    kl = bottleneck_kl(parameters, marginal_mean=0.1, scale=10)
    assert kl.item() == pytest.approx(expected, rel=1e-4)


def test_kl_is_zero_at_the_marginal():
    parameters = BetaParameters(torch.full((1, 4), 10.0), torch.full((1, 4), 90.0))
    assert abs(bottleneck_kl(parameters, marginal_mean=0.1, scale=10).item()) < 1e-5


def test_promoter_wins_over_blacklist():
    blacklist = torch.tensor([[True, True, True, False, False, False, False, True]])
    mask = apply_fixed_bases(torch.full((1, 8), 0.3), blacklist, promoter_slice(8, 4))
    assert mask.tolist() == [
        pytest.approx([0, 0, 1, 1, 1, 1, 0.3, 0]),
    ]


def test_a_window_shorter_than_the_promoter_is_promoter_alone():
    assert promoter_slice(500, 2_000) == slice(0, 500)
    assert promoter_slice(2_500, 2_000) == slice(250, 2_250)
    blacklist = torch.tensor([[True, False, False, False]])
    mask = apply_fixed_bases(torch.full((1, 4), 0.3), blacklist, promoter_slice(4, 6))
    assert mask.tolist() == [[1, 1, 1, 1]]


def test_samples_have_the_moments_of_the_density_and_a_gradient():
    torch.manual_seed(0)
    alpha = torch.full((200, 500), 3.0, requires_grad=True)
    parameters = BetaParameters(alpha, torch.full((200, 500), 9.0))
    sample = draw_mask(parameters, sample=True)
    assert sample.mean().item() == pytest.approx(0.25, abs=0.002)
    assert sample.var().item() == pytest.approx(0.25 * 0.75 / 13, rel=0.03)
    sample.mean().backward()
    # d mean / d alpha = beta / (alpha + beta)^2, spread over the bases
    assert alpha.grad.sum().item() == pytest.approx(9 / 144, rel=0.03)


def test_a_seeded_window_is_drawn_alike_among_any_others():
    alpha, beta = torch.rand(4, 300) + 0.5, torch.rand(4, 300) + 0.5
    alpha.requires_grad_()
    before = torch.random.get_rng_state()
    together = draw_mask(BetaParameters(alpha, beta), sample=True, seeds=(5, 2**63 + 6, 7, 5))
    assert torch.equal(torch.random.get_rng_state(), before)
    alone = draw_mask(BetaParameters(alpha[1:2], beta[1:2]), sample=True, seeds=(2**63 + 6,))
    assert torch.equal(together[1], alone[0])
    same = draw_mask(BetaParameters(alpha[:1], beta[:1]), sample=True, seeds=(7,))
    assert not torch.isclose(together[0], same[0]).any()
    together[1].sum().backward()
    assert (alpha.grad[1] > 0).all()
    assert (alpha.grad[[0, 2, 3]] == 0).all()


def test_evaluation_uses_the_mean():
    parameters = BetaParameters(torch.tensor([[1.0, 3.0]]), torch.tensor([[3.0, 1.0]]))
    assert draw_mask(parameters, sample=False).tolist() == [[0.25, 0.75]]
