"""Settings that take evidence or signals away: what is left out must not be there at all."""

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from seq2exp.masks import open_masks
from seq2exp.model_config import SIGNALS, Seq2ExpSoftConfig
from seq2exp.models import InputShape, build_model
from seq2exp.models.interface import keep_signals
from seq2exp.packing import Batch
from seq2exp.prediction import predict

from .any_model import NETWORKS, config_of
from .tiny_training import SOFT, run_training

B, L, P, F = 2, 64, 16, 4
SEQ2EXP = ["seq2exp_soft", "seq2exp_hard"]


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def random_batch() -> Batch:
    return Batch(
        sequence=torch.nn.functional.one_hot(torch.randint(4, (B, L)), 4).float(),
        signals=torch.rand(B, L, 3) * 5,
        gene_features=torch.randn(B, F).abs(),
        blacklist=torch.zeros(B, L, dtype=torch.bool),
        label=torch.randn(B),
        index=torch.arange(B),
        peaks=torch.rand(B, L) < 0.5,
    )


def model_of(kind, **settings):
    return build_model(config_of(kind, **settings), InputShape(L, P, F)).eval()


# --------------------------------------------------------------------------- signals


@pytest.mark.parametrize(
    ("kept", "columns", "activity"),
    [
        (SIGNALS, [1, 1, 1], 1),
        (("h3k27ac", "dnase"), [1, 1, 0], 1),
        (("dnase", "hic"), [0, 1, 1], 0),
        (("h3k27ac",), [1, 0, 0], 0),
        ((), [0, 0, 0], 0),
    ],
)
def test_left_out_signals_and_what_is_made_of_them_are_zero(kept, columns, activity):
    batch = random_batch()
    before = batch.signals.clone(), batch.gene_features.clone()
    ours = keep_signals(batch, kept)
    assert torch.equal(ours.signals, before[0] * torch.tensor(columns))
    assert torch.equal(ours.gene_features[:, :-1], before[1][:, :-1])
    assert torch.equal(ours.gene_features[:, -1], before[1][:, -1] * activity)
    assert torch.equal(batch.signals, before[0])  # the caller's are as they were
    assert torch.equal(batch.gene_features, before[1])


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("left_out", range(3), ids=SIGNALS)
def test_no_output_depends_on_a_signal_that_is_left_out(kind, left_out):
    kept = {"signals": [name for name in SIGNALS if name != SIGNALS[left_out]]}
    # the mask of a trained model is made of what that model has
    source = (
        {"source": Seq2ExpSoftConfig(d_model=8, d_state=2, **kept)}
        if kind == "seq2exp_retrain"
        else {}
    )
    model = model_of(kind, **kept, **source)
    batch, other = random_batch(), random_batch()
    changed = batch.signals.clone()
    changed[..., left_out] = other.signals[..., left_out]
    features = batch.gene_features.clone()
    if left_out < 2:
        features[:, -1] += 1
    outputs = model(batch), model(batch._replace(signals=changed, gene_features=features))
    for one, two in zip(*outputs, strict=True):
        assert (one is None and two is None) or torch.equal(one, two)


@pytest.mark.parametrize("kind", SEQ2EXP)
def test_every_signal_that_is_kept_is_used_by_mask_and_network(kind):
    model, batch = model_of(kind), random_batch()
    before = model(batch)
    for column in range(3):
        changed = batch.signals.clone()
        changed[..., column] += 3
        after = model(batch._replace(signals=changed))
        assert (after.alpha > before.alpha).all()
        assert not torch.isclose(after.prediction, before.prediction, atol=1e-7).any()


def test_prior_weights_are_those_of_the_signals_that_are_left():
    settings = {"evidence": ["signals"], "signals": ["h3k27ac", "hic"]}
    batch = random_batch()
    output = model_of("seq2exp_soft", **settings)(batch)
    h3k27ac, _, hic = batch.signals.unbind(-1)
    # (2 (s + 1) + (s' + 1)) / 3 x 10, and (2 x 2.5 + 2.0) / 3 x 10
    expected = (2 * (h3k27ac + 1) + (hic + 1)) / 3 * 10
    torch.testing.assert_close(output.alpha, expected)
    torch.testing.assert_close(output.beta, torch.full((B, L), 70 / 3))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"signals": ["dnase", "dnase"]}, "listed twice"),
        ({"signals": ["atac"]}, "'h3k27ac', 'dnase' or 'hic'"),
        ({"signals": []}, r"leaves no evidence of signals; set evidence: \[sequence\]"),
        ({"evidence": []}, "at least 1 item"),
        ({"evidence": ["sequence", "sequence"]}, "listed twice"),
    ],
)
def test_impossible_choices(settings, message):
    with pytest.raises(ValidationError, match=message):
        config_of("seq2exp_soft", **settings)


def test_the_order_of_names_does_not_matter():
    assert config_of("caduceus_signals", signals=["hic", "dnase"]).signals == ("dnase", "hic")
    assert config_of("seq2exp_hard", evidence=["signals", "sequence"]) == config_of("seq2exp_hard")


# --------------------------------------------------------------------------- evidence


@pytest.mark.parametrize("kind", SEQ2EXP)
def test_a_mask_of_the_sequence_alone_is_the_generators(kind):
    model, batch = model_of(kind, evidence=["sequence"]), random_batch()
    output = model(batch)
    both = model_of(kind)
    both.load_state_dict(model.state_dict(), strict=False)  # all but the prior's constants
    reference = both(batch)
    prior = both.generator.prior(batch.signals)
    torch.testing.assert_close(output.alpha, reference.alpha - prior.alpha, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(output.beta, reference.beta - prior.beta, rtol=1e-3, atol=1e-4)
    assert not [name for name in model.state_dict() if "signal_" in name and "generator" in name]
    torch.testing.assert_close(
        model.evidence(batch, output),
        {"sequence_part": output.alpha / (output.alpha + output.beta)},
    )


def test_a_mask_of_the_signals_alone_has_no_generator():
    soft, hard = (model_of(kind, evidence=["signals"]) for kind in SEQ2EXP)
    assert soft.generator.backbone is None
    assert list(soft.generator.state_dict()) == ["signal_betas", "signal_weights"]
    assert hard.predictor is hard.generator.backbone  # there as the predictor
    assert not hasattr(hard.generator, "head")
    batch = random_batch()
    for model in (soft, hard):
        output = model(batch)
        prior = model.generator.prior(batch.signals)
        assert torch.equal(output.alpha, prior.alpha)
        assert output.kl is None
        other = random_batch()._replace(signals=batch.signals)
        assert torch.equal(model(other).mask, output.mask)
        assert list(model.evidence(batch, output)) == ["prior"] == list(model.evidence_tracks)


@pytest.mark.parametrize("kind", SEQ2EXP)
@pytest.mark.parametrize("evidence", [["sequence"], ["signals"]], ids=str)
def test_every_parameter_gets_a_gradient(kind, evidence):
    model, batch = model_of(kind, evidence=evidence).train(), random_batch()
    output = model(batch._replace(seeds=(1, 2)))
    model.loss(output, batch.label).total.backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize("evidence", [("sequence",), ("signals",)], ids=str)
def test_masks_of_one_evidence_are_trained_and_stored(training_data, tmp_path, evidence):
    model = Seq2ExpSoftConfig(**{**SOFT.model_dump(), "evidence": evidence})
    run_training(training_data, tmp_path, model=model)
    predict(
        tmp_path / "model.ckpt",
        training_data / "store",
        training_data / "folds.tsv",
        out_table=tmp_path / "p.tsv",
        out_masks=tmp_path / "masks",
    )
    names = {"sequence": "sequence_part", "signals": "prior"}
    masks = open_masks(tmp_path / "masks")
    assert [name for name, _ in masks.tracks()] == ["mask", names[evidence[0]]]
    free = (masks.mask > 0) & (masks.mask < 1)
    part = masks.sequence_part if evidence == ("sequence",) else masks.prior
    np.testing.assert_array_equal(masks.mask[free], part[free])
    history = pd.read_csv(tmp_path / "history.csv")
    assert (history["train_kl"] > 0).all() == (evidence == ("sequence",))
