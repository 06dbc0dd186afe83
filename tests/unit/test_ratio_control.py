"""The multiplier that holds a mask's share, and the stretches that its draws share."""

import numpy as np
import pytest
import torch

from seq2exp.models.ratio_control import DAMPING, RatioControl
from seq2exp.models.stretches import stretch_draws


def test_the_target_closes_linearly_between_two_shares_of_the_training():
    control = RatioControl(0.2, 0.8, (0.25, 0.75))
    assert [control.wanted(p) for p in (0, 0.25, 0.5, 0.75, 1)] == pytest.approx(
        [0.8, 0.8, 0.5, 0.2, 0.2]
    )
    assert RatioControl(0.9, 0.8, (0.25, 0.75)).wanted(0) == 0.9  # it never opens


def test_gradients_go_down_for_the_mask_and_up_for_the_multiplier():
    control = RatioControl(0.2, 0.2, (0, 0.5))
    with torch.no_grad():
        control.multiplier.fill_(0.3)
    ratio = torch.tensor(0.25, requires_grad=True)
    control(ratio, 1.0).backward()
    assert ratio.grad.item() == pytest.approx(10 * 0.3 + DAMPING * 0.05)
    assert control.multiplier.grad.item() == pytest.approx(-10 * 0.05)


@pytest.mark.parametrize("price", [0.5, -0.5])
def test_it_finds_the_multiplier_that_holds_the_share(price):
    """Minimise price * ratio (a mask that costs, or pays): the share is held all the same."""
    control = RatioControl(0.2, 0.85, (0.3, 0.6))
    logit = torch.nn.Parameter(torch.tensor(2.0))
    optimiser = torch.optim.SGD([logit, control.multiplier], lr=0.05)
    for step in range(4000):
        optimiser.zero_grad()
        ratio = torch.sigmoid(logit)
        (price * ratio + control(ratio, step / 4000)).backward()
        optimiser.step()
        if step == 1100:
            assert ratio.item() == pytest.approx(0.85, abs=0.01)
    assert torch.sigmoid(logit).item() == pytest.approx(0.2, abs=0.001)
    assert 10 * control.multiplier.item() == pytest.approx(-price, abs=0.01)


def test_draws_are_uniform_and_shared_by_stretches():
    draws = stretch_draws(torch.empty(40, 10_000), 50, range(40)).double().numpy()
    assert np.quantile(draws, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.03)
    changes = (np.diff(draws, axis=1) != 0).mean()
    assert changes == pytest.approx(1 / 50, rel=0.05)


def test_draws_are_those_of_the_seed_whatever_is_beside_it():
    like = torch.empty(3, 500)
    draws = stretch_draws(like, 20, [5, 6, 7])
    assert torch.equal(draws[1:2], stretch_draws(like[:1], 20, [6]))
    assert not torch.equal(draws[0], draws[1])


def test_every_base_by_itself():
    draws = stretch_draws(torch.empty(1, 1000), 1, [0])
    assert len(draws.unique()) == 1000
