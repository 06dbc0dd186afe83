"""Released checkpoints: golden numbers come out, no code runs, every misfit is one line."""

import os
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from seq2exp.checkpoints import load_checkpoint, save_checkpoint
from seq2exp.cli import main
from seq2exp.errors import UserError
from seq2exp.import_checkpoint import FEATURES, import_checkpoint
from seq2exp.masks import open_masks
from seq2exp.model_config import SignalLinearConfig
from seq2exp.models import InputShape, build_model
from seq2exp.packing import unpack
from seq2exp.store import open_store
from seq2exp.windows import WindowDataset
from tests import golden

FILES = Path(__file__).parents[1] / "data" / "golden"
SHAPE = {"window_length": 256, "promoter_length": 32}
KINDS = ["seq2exp_soft", "seq2exp_hard"]


def golden_file(kind):
    with np.load(FILES / f"{kind}.npz") as archive:
        return dict(archive)


def released_weights(kind):
    """Golden weights under the released names, tied tensors under both."""
    return {f"model.{n}": v for n, v in golden.section(golden_file(kind), "weights.").items()}


def write_released(path, kind, state=None, **others):
    """What Lightning writes: weights among the rest of a training's state."""
    content = {
        "epoch": 3,
        "global_step": 1234,
        "pytorch-lightning_version": "2.2.1",
        "state_dict": released_weights(kind) if state is None else state,
        "loops": {"fit_loop": {"state_dict": {}}},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{}]}],
        "hyper_parameters": {"lr": 5e-4},
        **others,
    }
    torch.save(content, path)
    return path


@pytest.fixture
def omegaconf(monkeypatch):
    """A package that is not installed here, whose objects a released file may hold."""
    module = types.ModuleType("omegaconf")

    class DictConfig:
        pass

    DictConfig.__module__, DictConfig.__qualname__ = "omegaconf", "DictConfig"
    module.DictConfig = DictConfig
    monkeypatch.setitem(sys.modules, "omegaconf", module)
    return module


# --------------------------------------------------------------------------- the same numbers


@pytest.mark.parametrize("kind", KINDS)
def test_golden_numbers_come_out(tmp_path, kind, omegaconf, monkeypatch):
    settings = omegaconf.DictConfig()
    settings.content = {"path": Path("/somewhere"), "betas": np.float64(0.9)}
    file = write_released(tmp_path / "released.ckpt", kind, hyper_parameters=settings)
    monkeypatch.delitem(sys.modules, "omegaconf")  # as for a user, who does not have it
    import_checkpoint(file, tmp_path / "model.ckpt", **SHAPE, cell_line="GM12878", seed=22)
    trained = load_checkpoint(tmp_path / "model.ckpt")
    content = golden_file(kind)
    with torch.no_grad():
        output = trained.model(golden.inputs(content))
    for name in ("prediction", "mask", "alpha", "beta", "kl"):
        ours, expected = getattr(output, name).numpy(), content[f"out.{name}"]
        np.testing.assert_allclose(ours, expected.reshape(ours.shape), rtol=0, atol=1e-4)
    assert trained.config.kind == kind
    assert trained.shape == InputShape(256, 32, 9)
    assert trained.config.prior.signal_weights == pytest.approx((0.4, 0.4, 0.2))
    assert trained.meta["feature_names"] == list(FEATURES)
    expected = {"cell_line": "GM12878", "assay": "CAGE", "fold": 11, "seed": 22, "best_step": 1234}
    assert expected.items() <= trained.meta.items()


def test_the_papers_sizes():
    """As many parameters as the released soft model has."""
    full = golden.KINDS["seq2exp_soft"]()
    model = build_model(full, InputShape(200_000, 2_000, 9))
    constants = model.generator.signal_betas, model.generator.signal_weights  # parameters there
    assert sum(p.numel() for p in (*model.parameters(), *constants)) == 1_114_249


# --------------------------------------------------------------------------- no code is run


class Runs:
    """Unpickled, it calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("place", ["hyper_parameters", "state_dict"])
@pytest.mark.parametrize(
    ("function", "name"),
    [(os.system, "posix.system"), (exec, "builtins.exec"), (os.mkdir, "posix.mkdir")],
)
def test_a_malicious_file_is_refused_and_not_run(tmp_path, monkeypatch, place, function, name):
    monkeypatch.chdir(tmp_path)
    argument = {
        os.system: "touch ran",
        exec: "open('ran', 'w')",
        os.mkdir: "ran",
    }[function]
    bad = {place: {"x": Runs(function, argument)}}
    file = write_released(tmp_path / "bad.ckpt", "seq2exp_soft", **bad)
    with pytest.raises(UserError, match=rf"refers to code \({name}\), of which nothing was run"):
        import_checkpoint(file, tmp_path / "model.ckpt", **SHAPE)
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "model.ckpt").exists()


def test_functions_of_packages_that_are_passed_over_are_not_run_either(tmp_path):
    bad = Runs(np.savetxt, str(tmp_path / "ran"), [1.0])
    file = write_released(tmp_path / "odd.ckpt", "seq2exp_soft", hyper_parameters={"x": bad})
    import_checkpoint(file, tmp_path / "model.ckpt", **SHAPE)
    assert not (tmp_path / "ran").exists()


# --------------------------------------------------------------------------- misfits


def without(name):
    return lambda state: state.pop(name)


def replaced(name, change):
    return lambda state: state.__setitem__(name, change(state[name]))


RIGHT = "model.generator.backbone.layers.1.mixer.mamba_fwd"
LEFT = RIGHT.replace("fwd", "rev")


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (KINDS[0], without("model.pToExpr.4.bias"), r"no tensor head\.mlp\.4\.bias; not a whole"),
        (KINDS[0], without("model.prior_weights"), r"no tensor generator\.signal_weights"),
        (
            KINDS[0],
            without("model.generator.backbone.layers.0.mixer.mamba_fwd.A_log"),
            r"no tensor generator\.backbone\.layers\.0\.mixer\.rightward\.A_log",
        ),
        (KINDS[0], lambda s: s.update({"model.x.y": torch.ones(1)}), r"unknown tensor x\.y"),
        (
            KINDS[0],
            lambda s: s.update({"loss.w": torch.ones(1)}),
            r"named model\.NAME, found loss\.w",
        ),
        (KINDS[0], lambda s: s.update({"model.x": 3}), "has no state_dict of tensors"),
        (KINDS[0], dict.clear, "found nothing"),
        (
            KINDS[0],
            replaced("model.pToExpr.0.weight", lambda w: w[:, :-1]),
            r"reads 8 gene features, not 9 \(UTR5LEN_log10zscore, .*, promoter_activity\)",
        ),
        (
            KINDS[0],
            replaced(f"{LEFT}.in_proj.weight", lambda w: w + 1),
            r"mamba_rev\.in_proj\.weight differs from the tensor it is tied with",
        ),
        (
            KINDS[1],
            replaced("model.encoder.backbone.norm_f.weight", lambda w: w + 1),
            r"encoder\.backbone\.norm_f\.weight differs from the tensor it is tied with",
        ),
        (
            KINDS[0],
            replaced(f"{RIGHT}.D", lambda w: w[:-1]),
            r"generator\.backbone\.layers\.1\.mixer\.rightward\.D is \(31,\), but .* \(32,\)",
        ),
        (KINDS[0], replaced("model.signal_betas", lambda w: w[:2]), "not a Seq2Exp checkpoint"),
    ],
)
def test_weights_that_do_not_make_up_a_model_are_one_line(tmp_path, kind, change, message):
    state = released_weights(kind)
    change(state)
    file = write_released(tmp_path / "x.ckpt", kind, state=state)
    with pytest.raises(UserError, match=message) as caught:
        import_checkpoint(file, tmp_path / "model.ckpt", **SHAPE)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "model.ckpt").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), (b"", "cannot be read as weights"), (b"PK\3\4 no", "cannot be read")],
)
def test_files_that_are_no_checkpoints(tmp_path, content, message):
    if content is not None:
        (tmp_path / "x.ckpt").write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        import_checkpoint(tmp_path / "x.ckpt", tmp_path / "model.ckpt")
    assert "\n" not in str(caught.value)


def test_lengths_have_to_fit(tmp_path):
    file = write_released(tmp_path / "hard.ckpt", "seq2exp_hard")
    with pytest.raises(UserError, match="a model of 256 bp; leave --window-length 512 out"):
        import_checkpoint(file, tmp_path / "model.ckpt", window_length=512, promoter_length=32)
    with pytest.raises(UserError, match="a window of 256 bp has no promoter of 2000; give --prom"):
        import_checkpoint(file, tmp_path / "model.ckpt")


# --------------------------------------------------------------------------- the commands


def run(capsys, *arguments):
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code
    return code, capsys.readouterr().out


def test_imported_by_command_it_predicts_a_window_store(training_data, tmp_path, capsys):
    file, model = write_released(tmp_path / "r.ckpt", "seq2exp_soft"), tmp_path / "model.ckpt"
    lengths = ("--window-length", 1000, "--promoter-length", 200)
    assert run(capsys, "import-checkpoint", file, "--out", model, *lengths) == (0, "")
    out, masks = tmp_path / "predictions.tsv", tmp_path / "masks"
    store_dir = training_data / "store"
    found = run(capsys, "predict", model, store_dir, "--out", out, "--masks", masks)
    assert found == (0, "")
    table = pd.read_csv(out, sep="\t")
    store = open_store(store_dir)
    assert table["gene_id"].tolist() == store.genes["gene_id"].tolist()
    assert table["split"].isna().all()
    np.testing.assert_allclose(table["observed"], store.labels("CAGE"), rtol=1e-6)
    dataset = WindowDataset(store_dir, np.arange(3), None, 1000)
    assert np.isnan(dataset.labels).all()
    trained = load_checkpoint(model)
    with torch.no_grad():
        output = trained.model(unpack(dataset.read([0, 1, 2]), contact_bin=200))
    np.testing.assert_allclose(table["predicted"][:3], output.prediction, rtol=1e-5)
    np.testing.assert_allclose(table["mask_ratio"][:3], output.mask.mean(1), rtol=1e-5)
    stored = open_masks(masks)
    assert stored.gene_ids == table["gene_id"].tolist()
    np.testing.assert_allclose(stored.mask[:3], output.mask, atol=1e-3)


def test_predict_with_folds_keeps_the_masks_of_some_splits(
    training_data, undisturbed, tmp_path, capsys
):
    folds, out = training_data / "folds.tsv", tmp_path / "p.csv"
    splits = ("--folds", folds, "--masks", tmp_path / "masks", "--mask-splits", "valid", "test")
    command = ("predict", undisturbed / "model.ckpt", training_data / "store", "--out", out)
    assert run(capsys, *command, *splits, "--batch-size", 5) == (0, "")
    table = pd.read_csv(out)
    assert table["split"].value_counts().to_dict() == {"train": 20, "valid": 8, "test": 8}
    kept = table["gene_id"][table["split"] != "train"].tolist()
    assert open_masks(tmp_path / "masks").gene_ids == kept


def test_a_store_without_the_assay_is_predicted_without_observations(
    training_data, undisturbed, tmp_path, capsys
):
    trained = load_checkpoint(undisturbed / "model.ckpt")
    meta = {**trained.meta, "assay": "RNA"}
    save_checkpoint(tmp_path / "m.ckpt", trained.model, trained.config, trained.shape, meta)
    store, out = training_data / "store", tmp_path / "p.tsv"
    assert run(capsys, "predict", tmp_path / "m.ckpt", store, "--out", out) == (0, "")
    table = pd.read_csv(out, sep="\t")
    assert table["observed"].isna().all()
    assert table["predicted"].notna().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--masks", "m"), "a signal_linear has no masks; leave them out"),
        (("--mask-splits", "test"), "--mask-splits: needs --folds and --masks"),
        (("--batch-size", "0"), "--batch-size 0: must be above 0"),
    ],
)
def test_predict_says_what_cannot_be(
    training_data, tmp_path, capsys, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    config, shape = SignalLinearConfig(spans=(100,)), InputShape(1000, 200, 9)
    store = open_store(training_data / "store")
    meta = {"assay": "CAGE", "fold": 1, "feature_names": list(store.feature_names)}
    save_checkpoint(tmp_path / "m.ckpt", build_model(config, shape), config, shape, meta)
    code, _ = run(capsys, "predict", "m.ckpt", store.path, "--out", "p.tsv", *arguments)
    assert message in code
    assert not (tmp_path / "p.tsv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--cell-line", "../x"), "--cell-line '../x': not a usable name"),
        (("--window-length", "0"), "--window-length 0: must be even and above 0"),
        (("--promoter-length", "201"), "--promoter-length 201: must be even"),
    ],
)
def test_import_says_what_cannot_be(tmp_path, capsys, arguments, message):
    code, _ = run(capsys, "import-checkpoint", "x.ckpt", "--out", tmp_path / "m.ckpt", *arguments)
    assert code.startswith(f"error: {message}")
