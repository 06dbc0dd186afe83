"""Test-time ablations: what is shown, which mask, and what comes out, with numbers by hand."""

import json
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch

from seq2exp.bottleneck import promoter_slice
from seq2exp.checkpoints import load_checkpoint, save_checkpoint
from seq2exp.config import parse_config
from seq2exp.errors import UserError
from seq2exp.evaluation_config import ViewConfig
from seq2exp.fixed_masks import shift_mask
from seq2exp.model_config import CaduceusConfig, CaduceusSignalsConfig, SignalLinearConfig
from seq2exp.models import InputShape, build_model
from seq2exp.models.masked import MaskedModel, Proposal
from seq2exp.packing import PackedBatch, unpack
from seq2exp.prediction import predict
from seq2exp.schemas import VIEW_COLUMNS, read_table
from seq2exp.store import open_store
from seq2exp.summary import write_view_summary
from seq2exp.views import predict_views, show, show_mask
from seq2exp.windows import read_window
from tests.unit.any_model import NETWORKS, config_of
from tests.unit.test_config import changed
from tests.unit.test_training import SOFT

NO_SIGNAL = torch.zeros(1, 8, dtype=torch.bool)


# ------------------------------------------------------------------------- windows


def test_a_crop_keeps_the_tss_in_the_middle(toy_store):
    for row in range(3):
        whole = unpack(read_window(toy_store, row), contact_bin=500)
        packed = read_window(toy_store, row)
        cropped = show(packed, ViewConfig(window_length=600), contact_bin=500)
        bases = slice(700, 1_300)
        assert torch.equal(cropped.sequence, whole.sequence[:, bases])
        assert torch.equal(cropped.signals, whole.signals[:, bases])
        assert torch.equal(cropped.blacklist, whole.blacklist[:, bases])
        assert torch.equal(cropped.gene_features, whole.gene_features)


@pytest.mark.parametrize(
    ("kept", "left", "activity"),
    [
        (("h3k27ac", "dnase", "hic"), (1, 1, 1), 1),
        (("h3k27ac", "hic"), (1, 0, 1), 0),
        (("hic", "dnase"), (0, 1, 1), 0),
        (("h3k27ac", "dnase"), (1, 1, 0), 1),
        ((), (0, 0, 0), 0),
    ],
)
def test_signals_left_out_are_zero_and_promoter_activity_with_them(toy_store, kept, left, activity):
    packed = read_window(toy_store, 3)
    packed = packed._replace(gene_features=torch.tensor([[0.25, 3.0]]))
    whole = unpack(packed, contact_bin=500)
    assert (whole.signals.sum(dim=1) > 0).all()
    batch = show(packed, ViewConfig(signals=kept), contact_bin=500)
    assert torch.equal(batch.signals, whole.signals * torch.tensor(left))
    assert batch.gene_features.tolist() == [[0.25, 3.0 * activity]]
    assert torch.equal(batch.sequence, whole.sequence)


# ------------------------------------------------------------------------- masks


def shown(view, mean, blacklist=NO_SIGNAL, genes=(0,)):
    """Mask of a view over eight bases, of which the middle two are promoter."""
    mean = torch.tensor([mean])
    promoter = promoter_slice(8, 2)
    mask = mean.masked_fill(blacklist, 0.0)
    mask[:, promoter] = 1.0
    own = Proposal(mask, 10 * mean, 10 * (1 - mean))
    return show_mask(own, ViewConfig(**view), blacklist, promoter, genes)[0].tolist()


MEAN = [0.1, 0.9, 0.3, 0.4, 0.6, 0.8, 0.2, 0.7]


def test_the_promoter_counts_in_the_top_share_and_the_blacklist_is_never_in_it():
    assert shown({"mask_fraction": 0.5}, MEAN) == [0, 1, 0, 1, 1, 1, 0, 0]
    assert shown({"mask_fraction": 0.1}, MEAN) == [0, 0, 0, 1, 1, 0, 0, 0]
    assert shown({"mask_fraction": 1.0}, MEAN) == [1] * 8
    black = torch.tensor([[False, True, False, False, False, False, False, False]])
    assert shown({"mask_fraction": 0.5}, MEAN, black) == [0, 0, 0, 1, 1, 1, 0, 1]
    assert shown({"mask": "promoter"}, MEAN, black) == [0, 0, 0, 1, 1, 0, 0, 0]


def test_a_shifted_mask_has_the_same_size_and_leaves_fixed_bases_alone():
    black = torch.tensor([[True, False, False, False, False, False, False, False]])
    ring = [0.9, 0.3, 0.8, 0.2, 0.7]  # bases 1, 2, 5, 6 and 7
    seen = set()
    for gene in range(40):
        mask = shown({"mask": "shifted"}, MEAN, black, genes=(gene,))
        assert (mask[0], mask[3], mask[4]) == (0, 1, 1)
        rolls = [tuple(np.roll(np.float32(ring), offset).tolist()) for offset in range(5)]
        found = tuple(mask[i] for i in (1, 2, 5, 6, 7))
        seen.add(rolls.index(found))
    assert seen == {1, 2, 3}  # never 0: every gene's mask has moved
    both = shown({"mask_fraction": 0.5, "mask": "shifted"}, MEAN)
    assert sum(both) == 4
    assert both != shown({"mask_fraction": 0.5}, MEAN)


# ------------------------------------------------------------------------- every kind of model


def windows(training_data, length=1000):
    store = load_store(training_data)
    parts = [read_window(store, row, length) for row in (3, 30)]
    packed = PackedBatch(*(torch.cat(part) for part in zip(*parts, strict=True)))
    return unpack(packed, contact_bin=store.contact_bin, has_peaks=store.has_peaks)


def new_model(config, length):
    shape = InputShape(length, min(200, length), n_gene_features=9)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return build_model(config, shape).eval()


@pytest.mark.parametrize("kind", NETWORKS)
@torch.no_grad()
def test_a_model_reads_shorter_windows_as_one_that_was_built_for_them(training_data, kind):
    if kind == "enformer":
        pytest.importorskip("enformer_pytorch")
    for length in (300, 100):  # the second is within the promoter
        model = new_model(config_of(kind, signal_transform="log1p"), 1000)
        if not model.reads_length(length):
            pytest.skip(f"{kind} reads its own length alone")
        expected = new_model(config_of(kind, signal_transform="log1p"), length)
        weights = model.state_dict()
        if kind == "seq2exp_hard":
            weights["position_embedding"].normal_()
            start = (1000 - length) // 2
            of_crop = weights["position_embedding"][:, start : start + length]
            weights = {**weights, "position_embedding": of_crop}
        if kind == "hyena":  # its filters are functions of bp over the length that it was built for
            for block in expected.blocks:
                block.mixer.long.window_length = 1000
        expected.load_state_dict(weights)
        batch = windows(training_data, length)
        found, right = model(batch), expected(batch)
        assert torch.equal(found.prediction, right.prediction)
        if found.mask is not None:
            assert torch.equal(found.mask, right.mask)
            assert found.mask.shape == (2, length)


@pytest.mark.parametrize("kind", NETWORKS)
@torch.no_grad()
def test_a_masked_models_prediction_is_made_of_its_own_mask(training_data, kind):
    if kind == "enformer":
        pytest.importorskip("enformer_pytorch")
    model = new_model(config_of(kind, signal_transform="log1p"), 1000)
    output = model(windows(training_data))
    assert isinstance(model, MaskedModel) == (output.mask is not None)
    if isinstance(model, MaskedModel):
        proposal = model.mask_of(windows(training_data))
        assert torch.equal(proposal.mask, output.mask)
        assert model.ranks_bases == (proposal.alpha is not None)
        prediction = model.predict_from(windows(training_data), proposal.mask)
        assert torch.equal(prediction, output.prediction)


@pytest.mark.parametrize("kind", NETWORKS)
@torch.no_grad()
def test_a_model_says_whether_it_reads_signals(training_data, kind):
    if kind == "enformer":
        pytest.importorskip("enformer_pytorch")
    model = new_model(config_of(kind, signal_transform="log1p"), 1000)
    batch = windows(training_data)
    silent = batch._replace(signals=torch.zeros_like(batch.signals))
    changed = not torch.equal(model(batch).prediction, model(silent).prediction)
    assert model.reads_signals == changed


# ------------------------------------------------------------------------- predictions


@pytest.fixture(scope="module")
def run_folder(training_data, undisturbed, tmp_path_factory):
    """A trained Seq2Exp-soft and its predictions."""
    folder = tmp_path_factory.mktemp("views")
    (folder / "model.ckpt").write_bytes((undisturbed / "model.ckpt").read_bytes())
    return predicted(training_data, folder)


def predicted(training_data, folder):
    predict(
        folder / "model.ckpt",
        training_data / "store",
        training_data / "folds.tsv",
        out_table=folder / "predictions.tsv",
        out_masks=None,
    )
    return folder


def views_of(training_data, folder, views, **how):
    predict_views(
        folder / "model.ckpt",
        training_data / "store",
        folder / "predictions.tsv",
        {name: ViewConfig(**view) for name, view in views.items()},
        out_table=folder / "views.tsv",
        device="cpu",
        **how,
    )
    return read_table(folder / "views.tsv", VIEW_COLUMNS)


def test_views_that_change_nothing_equal_the_predictions(training_data, run_folder):
    views = {
        "whole": {"window_length": 1000},
        "all": {"signals": ["dnase", "hic", "h3k27ac"]},
    }
    table = views_of(training_data, run_folder, views, batch_size=3, workers=1)
    assert table["view"].unique().tolist() == ["full", "whole", "all"]
    test = read_table(run_folder / "predictions.tsv").query("split == 'test'")
    for _, genes in table.groupby("view"):
        assert genes["gene_id"].tolist() == test["gene_id"].tolist()
        for column in ("observed", "predicted", "mask_ratio"):
            np.testing.assert_allclose(genes[column], test[column], rtol=2e-6)
    assert (table["skipped"] == "").all()


VIEWS = {
    "short": {"window_length": 300},
    "within_promoter": {"window_length": 100},
    "no_dnase": {"signals": ["h3k27ac", "hic"]},
    "random": {"mask": "shifted"},
    "random_top": {"mask": "shifted", "mask_fraction": 0.4},
    "promoter": {"mask": "promoter"},
    "top": {"mask_fraction": 0.4},
    "short_top": {"window_length": 300, "mask_fraction": 0.8, "signals": ["h3k27ac", "hic"]},
    "long": {"window_length": 1200},
}


@torch.no_grad()
def expected_views(model, store, gene_id):
    """(prediction, mask ratio) of one gene in each of VIEWS, step by step."""
    row = store.genes["gene_id"].tolist().index(gene_id)
    whole, short, within = (
        unpack(read_window(store, row, length), contact_bin=store.contact_bin)
        for length in (1000, 300, 100)
    )

    def without_dnase(batch):
        signals, features = batch.signals.clone(), batch.gene_features.clone()
        signals[..., 1] = features[..., -1] = 0
        return batch._replace(signals=signals, gene_features=features)

    def own(batch):
        output = model(batch)
        return output.prediction.item(), output.mask.mean().item()

    def other(batch, mask):
        return model.predict_from(batch, mask).item(), mask.mean().item()

    def top(batch, bases):
        mask = model(batch).mask
        order = sorted(range(mask.shape[1]), key=lambda base: (-mask[0, base].item(), base))
        kept = torch.zeros_like(mask)
        kept[0, order[:bases]] = 1
        return kept

    mask = model(whole).mask
    black, promoter = whole.blacklist[0], torch.zeros(1000, dtype=torch.bool)
    promoter[400:600] = True
    among = (promoter.logical_not() & (black.logical_not())).unsqueeze(0)
    silent = without_dnase(short)
    return {
        "short": own(short),
        "within_promoter": own(within),
        "no_dnase": own(without_dnase(whole)),
        "random": other(whole, shift_mask(mask, among, [row])),
        "random_top": other(whole, shift_mask(top(whole, 400), among, [row])),
        "promoter": other(whole, promoter.float().unsqueeze(0)),
        "top": other(whole, top(whole, 400)),
        "short_top": other(silent, top(silent, 240)),
    }


def test_views_against_the_model_itself(training_data, tmp_path):
    save_untrained(training_data, tmp_path, SOFT)
    table = views_of(training_data, tmp_path, VIEWS, batch_size=5)
    model, store = load_checkpoint(tmp_path / "model.ckpt").model, load_store(training_data)
    assert table.loc[table["view"] == "long", "skipped"].tolist() == ["its windows have 1000 bp"]
    genes = table[table["skipped"] == ""].set_index(["gene_id", "view"])
    assert len(genes) == 8 * 9  # full and eight views
    for gene_id in genes.index.unique("gene_id"):
        of_gene = genes.loc[gene_id]
        for view, (predicted, ratio) in expected_views(model, store, gene_id).items():
            assert of_gene.loc[view, "predicted"] == pytest.approx(predicted, rel=1e-5)
            assert of_gene.loc[view, "mask_ratio"] == pytest.approx(ratio, rel=1e-5)
        ratios = of_gene["mask_ratio"]
        assert ratios["within_promoter"] == 1  # the promoter is 200 bp
        assert ratios["promoter"] == pytest.approx(0.2)
        assert ratios["random"] == pytest.approx(ratios["full"], rel=1e-5)
        assert ratios["top"] == ratios["random_top"] == pytest.approx(0.4)
        assert ratios["short_top"] == pytest.approx(0.8)
        assert ratios["no_dnase"] < ratios["full"]
    # None was mistaken for another. (The soft mask hardly gates: shifting it changes next to nothing.)
    predictions = genes["predicted"].reset_index().pivot_table(index="gene_id", columns="view")
    for one, other in combinations(predictions["predicted"].columns.drop("random"), 2):
        difference = predictions["predicted"][one] - predictions["predicted"][other]
        assert difference.abs().mean() > 0.05, (one, other)


def load_store(training_data):
    return open_store(training_data / "store")


def save_untrained(training_data, folder, config):
    """A checkpoint of a model with random weights, and its predictions."""
    shape = InputShape(window_length=1000, promoter_length=200, n_gene_features=9)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = build_model(config, shape)
    if isinstance(config, SignalLinearConfig):
        # columns: H3K27ac +-50, DNase +-50, H3K27ac +-100, DNase +-100
        model.coefficients.copy_(torch.tensor([0.5, 2.0, 0.25, -1.0], dtype=torch.float64))
        model.intercept.fill_(3.0)
    else:  # far from 0, so that predictions depend on what is shown
        for weight in model.parameters():
            weight.data *= 3
    names = list(load_store(training_data).feature_names)
    meta = {"assay": "CAGE", "fold": 1, "feature_names": names}
    save_checkpoint(folder / "model.ckpt", model, config, shape, meta)
    predicted(training_data, folder)


def test_a_linear_model_loses_just_the_terms_of_the_signal(training_data, tmp_path):
    """intercept + sum of coefficient x log1p(mean signal): without DNase its terms are 0."""
    save_untrained(training_data, tmp_path, SignalLinearConfig(spans=(50, 100)))
    views = {
        "no_dnase": {"signals": ["h3k27ac", "hic"]},
        "none": {"signals": []},
        "cropped": {"window_length": 200},
        "short": {"window_length": 198},
        "masked": {"mask": "promoter"},
    }
    table = views_of(training_data, tmp_path, views)
    skipped = table[table["skipped"] != ""].set_index("view")["skipped"]
    assert skipped.to_dict() == {
        "short": "it cannot read windows of 198 bp",
        "masked": "it has no mask",
    }
    store = load_store(training_data)
    genes = table[table["skipped"] == ""].set_index(["gene_id", "view"])["predicted"]
    assert len(genes) == 8 * 4
    for gene_id in genes.index.unique("gene_id"):
        row = store.genes["gene_id"].tolist().index(gene_id)
        dnase = read_window(store, row).signals[0, :, 1].double()
        near, far = (dnase[500 - span : 500 + span].mean().log1p().item() for span in (50, 100))
        of_gene = genes[gene_id]
        assert of_gene["full"] - of_gene["no_dnase"] == pytest.approx(2 * near - far, abs=1e-6)
        assert of_gene["none"] == pytest.approx(3.0)
        assert of_gene["cropped"] == of_gene["full"]


@pytest.mark.parametrize(
    ("config", "reasons"),
    [
        (CaduceusConfig, {"no_dnase": "it reads no signals", "top": "it has no mask"}),
        (CaduceusSignalsConfig, {"top": "it has no mask"}),
    ],
)
def test_what_makes_no_sense_for_a_model_is_skipped(training_data, tmp_path, config, reasons):
    config = config(d_model=8, d_state=2, layers=1, signal_transform="log1p")
    save_untrained(training_data, tmp_path, config)
    views = {name: VIEWS[name] for name in ("short", "no_dnase", "top")}
    table = views_of(training_data, tmp_path, views)
    skipped = table[table["skipped"] != ""]
    assert dict(zip(skipped["view"], skipped["skipped"], strict=True)) == reasons
    assert (skipped["gene_id"] == "").all()
    assert skipped[["observed", "predicted", "mask_ratio"]].isna().all(axis=None)
    assert (table.groupby("view").size()["short"], len(skipped)) == (8, len(reasons))
    assert table["mask_ratio"].isna().all()


def test_a_promoter_only_model_ranks_no_bases(training_data, tmp_path):
    save_untrained(training_data, tmp_path, SOFT.model_copy(update={"mask_region": "promoter"}))
    table = views_of(training_data, tmp_path, {n: VIEWS[n] for n in ("top", "random", "promoter")})
    assert table.loc[table["view"] == "top", "skipped"].tolist() == ["its mask ranks no bases"]
    values = table[table["view"] != "top"].groupby("gene_id")["predicted"]
    assert (values.size() == 3).all()
    assert (values.max() - values.min()).max() < 1e-5


def test_a_run_without_test_genes_or_with_other_ones_is_an_error(
    training_data, run_folder, tmp_path
):
    table = read_table(run_folder / "predictions.tsv")
    (tmp_path / "model.ckpt").write_bytes((run_folder / "model.ckpt").read_bytes())
    for change, message in (
        ({"split": "train"}, "no gene in test; change folds"),
        ({"gene_id": "X1", "split": "test"}, "gene X1 has no window in .*; predict again"),
    ):
        table.assign(**change).to_csv(tmp_path / "predictions.tsv", sep="\t", index=False)
        with pytest.raises(UserError, match=message):
            views_of(training_data, tmp_path, {"short": {"window_length": 300}})


# ------------------------------------------------------------------------- summary


def test_summary_by_hand(tmp_path):
    def rows(view, predicted):
        return pd.DataFrame(
            {"view": view, "gene_id": ["a", "b", "c"], "observed": [1.0, 2.0, 3.0],
             "predicted": predicted, "mask_ratio": 0.5, "skipped": ""}
        )  # fmt: skip

    skip = pd.DataFrame({"view": ["m"], "skipped": ["it has no mask"]})
    for seed, off in ((2, 0.0), (3, 1.0)):
        full, short = rows("full", [1.0, 2.0, 3.0]), rows("short", [1.0 + off, 2.0, 4.0 + off])
        table = pd.concat([full, short, skip]).reindex(columns=list(VIEW_COLUMNS))
        table.to_csv(tmp_path / f"{seed}.tsv", sep="\t", index=False)
    run = {"cell_line": "K", "assay": "CAGE", "model": "soft"}
    paths = [tmp_path / "2.tsv", tmp_path / "3.tsv"]
    write_view_summary(paths, [run, run], out_table=tmp_path / "views.tsv")
    table = read_table(tmp_path / "views.tsv").set_index("view")
    assert table.index.tolist() == ["full", "short", "m"]
    assert table["runs"].tolist() == [2, 2, 2]
    assert table.loc["full", ["pearson", "mse", "pearson_change"]].tolist() == [1, 0, 0]
    # squared errors (0, 0, 1) and (1, 0, 4)
    assert table.loc["short", "mse_change"] == pytest.approx((1 / 3 + 5 / 3) / 2)
    assert table.loc["short", "mse_sd"] == pytest.approx((4 / 3) / 2**0.5)
    # predicted (1, 2, 4) and (2, 2, 5) against (1, 2, 3)
    r = [3 / (2 * 14 / 3) ** 0.5, 3 / (2 * 6) ** 0.5]
    assert table.loc["short", "pearson"] == pytest.approx(sum(r) / 2)
    assert table.loc["short", "pearson_change"] == pytest.approx(sum(r) / 2 - 1)
    assert table.loc["short", "test_genes"] == 3
    assert table.loc["m", "skipped"] == "it has no mask"
    assert np.isnan(table.loc["m", "pearson"])


# ------------------------------------------------------------------------- config


@pytest.mark.parametrize(
    ("view", "message"),
    [
        ({}, r"views\.v: give one or several of window_length, signals, mask, mask_fraction"),
        ({"window_length": 301}, r"views\.v: window_length must be even"),
        ({"window_length": 300_000}, r"views\.v\.window_length 300000 is longer than the stored"),
        ({"signals": ["atac"]}, r"views\.v\.signals\.0: 'atac' should be 'h3k27ac', 'dnase' or 'h"),
        ({"signals": ["hic", "hic"]}, r"views\.v: signals: a name is listed twice; remove one"),
        ({"mask": "random"}, r"views\.v\.mask: 'random' should be 'shifted' or 'promoter'"),
        ({"mask_fraction": 0}, r"views\.v\.mask_fraction: 0 should be greater than 0"),
        ({"mask_fraction": 5}, r"views\.v\.mask_fraction: 5 should be less than or equal to 1"),
        ({"mask": "promoter", "mask_fraction": 0.1}, "promoter leaves nothing for mask_fraction"),
        ({"windowlength": 300}, r"windowlength: unknown key \(did you mean 'window_length'\?\)"),
    ],
)
def test_bad_views_are_one_line(view, message):
    with pytest.raises(UserError, match=message) as caught:
        parse_config(changed("evaluation.views", {"v": view}))
    assert "\n" not in str(caught.value)


def test_the_name_of_the_unchanged_view_is_taken():
    with pytest.raises(UserError, match=r"views\.full: the name of the unchanged view.*; rename"):
        parse_config(changed("evaluation.views", {"full": {"mask": "promoter"}}))


def test_views_survive_the_way_to_a_job():
    raw = {"2500bp": {"window_length": 2500, "signals": []}, "top_5": {"mask_fraction": 0.05}}
    views = parse_config(changed("evaluation.views", raw)).evaluation.views
    dumped = {name: json.loads(view.model_dump_json()) for name, view in views.items()}
    assert {name: ViewConfig(**view) for name, view in dumped.items()} == views
    assert views["2500bp"].signals == ()
    assert not views["2500bp"].changes_mask
    assert views["top_5"].changes_mask
