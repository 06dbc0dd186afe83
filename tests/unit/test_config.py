import copy

import pytest
from pydantic import ValidationError

from seq2exp.config import parse_config
from seq2exp.errors import UserError
from seq2exp.source_config import Source

MINIMAL = {
    "genome": {"name": "toy", "fasta": {"path": "g.fa"}, "annotation": {"path": "g.gtf"}},
    "cell_lines": {
        "A": {
            "h3k27ac": {"path": "a.h3k27ac.bw"},
            "dnase": {"encode": "ENCFF414OGC"},
            "expression": {"CAGE": {"bigwig": {"url": "https://host/a.bw"}}},
        }
    },
    "models": {"seq2exp_soft": None, "linear": {"kind": "signal_linear"}},
}


def changed(key: str, value: object) -> dict:
    """MINIMAL with one dotted key set."""
    raw = copy.deepcopy(MINIMAL)
    *parents, last = key.split(".")
    node = raw
    for parent in parents:
        node = node.setdefault(parent, {})
    node[last] = value
    return raw


def test_defaults_are_the_papers():
    config = parse_config(MINIMAL)
    soft = config.models["seq2exp_soft"]
    assert (config.window.length, config.window.promoter_length) == (200_000, 2_000)
    assert (soft.d_model, soft.generator_layers, soft.predictor_layers) == (128, 4, 4)
    assert (soft.d_state, soft.d_conv, soft.expand) == (16, 4, 2)
    assert (soft.prior.scale, soft.prior.beta_min) == (10, 1)
    assert soft.prior.signal_betas == (1.5, 0.2, 1.0)
    assert (soft.marginal.mean, soft.marginal.scale, soft.kl_weight) == (0.1, 10, 0.01)
    assert soft.signal_transform == "raw"
    recipe = config.training
    assert (recipe.learning_rate, recipe.betas, recipe.weight_decay) == (5e-4, (0.9, 0.95), 1e-6)
    assert (recipe.steps, recipe.batch_size, recipe.warmup_steps) == (50_000, 8, 5_000)
    assert (recipe.warmup_from, recipe.final_learning_rate) == (1e-5, 1e-4)
    assert (recipe.augment.reverse_complement, recipe.augment.jitter) == (False, 0)
    assert config.seeds == (2, 22, 222, 2222, 22222)
    assert config.folds.run == (11,)


def test_config_cannot_be_changed():
    config = parse_config(MINIMAL)
    with pytest.raises(ValidationError, match="frozen"):
        config.window.length = 5


def test_sources_are_named_by_their_key():
    sources = dict(parse_config(MINIMAL).sources())
    assert list(sources) == [
        "genome.fasta",
        "genome.annotation",
        "cell_lines.A.h3k27ac",
        "cell_lines.A.dnase",
        "cell_lines.A.expression.CAGE.bigwig",
    ]
    assert sources["cell_lines.A.dnase"] == Source(encode="ENCFF414OGC")


def test_tracks_of_labels_are_named_by_replicate_and_strand():
    pair = {"forward": {"path": "f.bw"}, "reverse": {"path": "r.bw"}}
    label = {"replicates": [pair, {"path": "b.bw"}], "span": 100}
    config = parse_config(changed("cell_lines.A.expression.CAGE", label))
    key = "cell_lines.A.expression.CAGE.replicates"
    sources = {name: source.path for name, source in config.sources() if name.startswith(key)}
    assert sources == {f"{key}.0.forward": "f.bw", f"{key}.0.reverse": "r.bw", f"{key}.1": "b.bw"}
    pair = changed("cell_lines.A.expression.CAGE", {"bigwig": pair, "strand": "own"})
    assert len(parse_config(pair).cell_lines["A"].expression["CAGE"].tracks()) == 1


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("cell_lines.A.dnaze", {}, r"cell_lines\.A\.dnaze: unknown key \(did you mean 'dnase'\?\)"),
        ("cell_lines.../x", {}, "unused"),
        (
            "genome.fasta",
            {},
            r"genome\.fasta: give exactly one of path, url, encode, fourdn or fan",
        ),
        ("genome.fasta", {"path": "a", "url": "https://x"}, r"\(found: path, url\)"),
        ("genome.fasta", {"url": "gopher://x"}, r"genome\.fasta\.url: 'gopher://x'"),
        ("cell_lines.A.dnase.encode", "ENCFF1", r"A\.dnase\.encode: 'ENCFF1' String should match"),
        ("cell_lines.A.dnase.encode", 5, r"A\.dnase\.encode: 5 should be a valid string"),
        ("cell_lines.A.dnase.encode", {"biosample": "K562"}, r"dnase\.encode\.assay: required key"),
        (
            "cell_lines.A.dnase.encode",
            {"biosample": "K562", "assay": "Dnase"},
            r"A\.dnase\.encode\.assay: 'Dnase' give DNase, ATAC, RNA, Hi-C or a histone mark such",
        ),
        (
            "cell_lines.A.dnase.encode",
            {"biosample": "K562", "assay": "DNase", "outputtype": "x"},
            r"A\.dnase\.encode\.outputtype: unknown key \(did you mean 'output_type'\?\)",
        ),
        ("cell_lines.A.dnase", {"fantom5": "CNhs14067"}, r"fantom5 and strand \(\+ or -\) go tog"),
        ("genome.genes", {"path": "t.tsv"}, r"genome: give exactly one of annotation .* or genes"),
        ("genome.chromosomes", ["chr1", "chr1"], "a name is listed twice"),
        ("window.length", 1000, r"promoter_length 2000 is longer than the window \(1000\)"),
        ("window.length", 2001, "must be even"),
        ("window.missing_chromosome", "ignore", r"window\.missing_chromosome: 'ignore'"),
        ("regions.threshold", -0.1, r"regions\.threshold: -0\.1 should be greater than or equal"),
        ("cell_lines.A.peaks", {"macs3": {}}, r"A\.peaks\.macs3\.cutoff: required key is missing"),
        ("cell_lines.A.peaks", {"macs3": {"cutoff": -1}}, r"A\.peaks\.macs3\.cutoff: -1 should be"),
        (
            "cell_lines.A.peaks",
            {"macs3": {"cutof": 1}},
            r"A\.peaks\.macs3\.cutof: unknown key \(did you mean 'cutoff'\?\)",
        ),
        ("cell_lines.A.peaks", {"paht": "x"}, r"A\.peaks\.paht: unknown key \(did you mean 'path'"),
        ("training.steps", "many", r"training\.steps: 'many' should be a valid integer"),
        ("training.warmup_steps", 50_000, "must be below steps 50000"),
        (
            "training.augment.jitter",
            500,
            r"training\.augment\.jitter 500: models\.seq2exp_soft\.window_length 200000 \+ 2 x 500 is "
            r"more than the stored window\.length 200000; set window\.length to 201000 and "
            r"models\.seq2exp_soft\.window_length to 200000, or lower jitter",
        ),
        ("training.augment.jitter", 1_000, "moves the TSS out of the promoter; keep it below 1000"),
        ("training.augment.jitter", -1, r"training\.augment\.jitter: -1 should be greater than"),
        (
            "training.augment.jitter",
            2.5,
            r"training\.augment\.jitter: 2\.5 should be a valid integer",
        ),
        (
            "training.augment.reverse_complement",
            "perhaps",
            r"complement: 'perhaps' should be a valid",
        ),
        ("training.augment", {"jiter": 1}, r"jiter: unknown key \(did you mean 'jitter'\?\)"),
        ("training.augment", True, r"training\.augment: True should be a valid dictionary"),
        ("folds.run", [13], r"folds: run: no fold 13"),
        ("folds.scheme", "explicit", "sets goes with scheme: explicit"),
        ("assays", ["RNA"], r"cell_lines\.A\.expression has no RNA"),
        ("seeds", [1, 1], "a seed is listed twice"),
        (
            "cell_lines.A.predictions",
            {"abc": {"path": "p"}},
            r"cell_lines\.A\.predictions: nothing to hold them against; add cell_lines\.A\.crispri",
        ),
        (
            "cell_lines.A.predictions",
            {"x": {"path": "p", "columns": {"gene": "g"}}},
            "columns.gene: unk",
        ),
        ("cell_lines.A.crispri", {"path": "p", "celltype": "x"}, r"did you mean 'cell_type'\?"),
        ("browser.hub", True, r"browser: hub: true needs browser\.email"),
        ("browser.email", "me", r"browser\.email"),
        ("browser.name", "two\nlines", r"browser\.name"),
        ("browser.loci", 3, r"browser\.loci"),
        (
            "evaluation.references.ccres",
            {"path": "r.bed", "column": 10},
            "column and values go tog",
        ),
        (
            "cell_lines.A.references.ccres",
            {"path": "r", "values": ["x"]},
            "column and values go to",
        ),
        ("evaluation.references.ccres", {"path": "r", "column": 3, "values": ["x"]}, r"column: 3 "),
        (
            "evaluation.references",
            {"peaks": {"path": "r.bed"}},
            "this name is taken by cell_lines.X",
        ),
        (
            "evaluation.references",
            {"attribution": {"path": "r.bed"}},
            "this name is taken by a column of element_scores.tsv; choose another",
        ),
        ("regions", {"other_tracks": ["mask"]}, "other_tracks"),
        ("regions.effects", {"per_gene": -1}, r"regions\.effects\.per_gene: -1"),
        ("evaluation.references", {"a/b": {"path": "r.bed"}}, r"not a usable name \('a/b'\)"),
        ("seeds", [], r"seeds"),
        ("models.foo", {}, r"models\.foo: unknown model kind 'foo'; known: seq2exp_soft"),
        ("models.seq2exp_soft", {"d_modell": 1}, r"models\.seq2exp_soft\.d_modell: unknown key"),
        (
            "models.seq2exp_soft",
            {"window_length": 300_000},
            r"models\.seq2exp_soft\.window_length 300000 must be even and at most window\.length 200000",
        ),
        ("models.seq2exp_soft", {"window_length": 501}, "window_length 501 must be even and at"),
        (
            "models.gated",
            {"kind": "seq2exp_gated", "window_length": 8_000, "mask_ratio": 0.25},
            r"models\.gated\.mask_ratio 0\.25: the promoter, which is always kept, is 0\.250 of its "
            r"window \(2000 of 8000 bp\); set a higher mask_ratio, or null",
        ),
        ("models.linear.spans", [200_000], "reach over the window"),
        ("cell_lines.A.expression.CAGE", {"table": {"path": "t"}}, "table and column go together"),
        ("cell_lines.A.expression.CAGE", {"span": 2}, "exactly one of bigwig, replicates or table"),
        (
            "cell_lines.A.expression.CAGE.bigwig",
            [{"path": "f.bw"}, {"path": "r.bw"}],
            r"CAGE\.bigwig: a list may mean strands or replicates; give strands as {forward: \.\.\.,",
        ),
        (
            "cell_lines.A.expression.CAGE.bigwig",
            {"forward": {"path": "f.bw"}, "revers": {"path": "r.bw"}},
            r"CAGE\.bigwig\.revers: unknown key \(did you mean 'reverse'\?\)",
        ),
        (
            "cell_lines.A.expression.CAGE.bigwig",
            {"forward": {"path": "f.bw"}},
            r"CAGE\.bigwig\.reverse: required key is missing; add it",
        ),
        (
            "cell_lines.A.expression.CAGE",
            {"replicates": [{"path": "a.bw"}, {"forward": {}, "reverse": {"path": "r.bw"}}]},
            r"CAGE\.replicates\.1\.forward: give exactly one of path, url, encode, fourdn or fantom5",
        ),
        (
            "cell_lines.A.expression.CAGE.strand",
            "own",
            r"strand: own needs tracks of both strands; give {forward: \.\.\., reverse: \.\.\.}",
        ),
        (
            "cell_lines.A.expression.CAGE",
            {"table": {"path": "t"}, "column": "x", "span": 384},
            r"expression\.CAGE: span does not go with table; remove it",
        ),
    ],
)
def test_bad_values_are_one_line(key, value, message):
    raw = changed(key, value)
    if message == "unused":  # a cell line named ../x: the key itself holds dots
        raw = changed("cell_lines", {"../x": MINIMAL["cell_lines"]["A"]})
        message = r"cell_lines\.\.\./x: not a usable name \('\.\./x'\)"
    with pytest.raises(UserError, match=message) as caught:
        parse_config(raw, "my.yaml")
    text = str(caught.value)
    assert text.startswith("my.yaml: ")
    assert "\n" not in text


def test_a_reference_has_one_name():
    raw = changed("cell_lines.A.references.ccres", {"path": "own.bed"})
    assert list(parse_config(raw).cell_lines["A"].references) == ["ccres"]
    raw["evaluation"] = {"references": {"ccres": {"path": "all.bed"}}}
    message = r"cell_lines\.A\.references\.ccres: evaluation\.references has this name too; rename"
    with pytest.raises(UserError, match=message):
        parse_config(raw)


def test_models_that_need_peaks_need_them_of_every_cell_line():
    raw = changed("cell_lines.A.peaks", {"path": "a.narrowPeak"})
    raw["models"]["peaks_mask"] = {}
    assert parse_config(raw).cell_lines["A"].peaks.path == "a.narrowPeak"
    raw["cell_lines"]["B"] = MINIMAL["cell_lines"]["A"]
    with pytest.raises(UserError) as caught:
        parse_config(raw, "my.yaml")
    assert str(caught.value) == (
        "my.yaml: models.peaks_mask needs DNase peaks, but cell_lines.B.peaks is not "
        "given; add it (docs/add-a-cell-line.md says how peaks are called), or drop the model"
    )


def test_jitter_with_room_in_the_stored_window():
    raw = changed("training.augment", {"jitter": 500, "reverse_complement": True})
    raw |= {"window": {"length": 201_000}}
    raw["models"] |= {"seq2exp_soft": {"window_length": 200_000}}
    config = parse_config(raw)
    assert (config.training.augment.jitter, config.training.augment.reverse_complement) == (
        500,
        True,
    )
    # Least squares takes no steps, and so no views: it may use all of the window.
    del raw["models"]["seq2exp_soft"], raw["window"]
    assert parse_config(raw).training.augment.jitter == 500


def test_a_model_may_see_less_than_the_promoter():
    raw = changed("models.seq2exp_soft", {"window_length": 500})
    assert parse_config(raw).models["seq2exp_soft"].window_length == 500
    raw["training"] = {"augment": {"jitter": 250}}
    message = (
        r"jitter 250 moves the TSS out of the window of models\.seq2exp_soft \(500 bp\); keep it"
    )
    with pytest.raises(UserError, match=message):
        parse_config(raw)
    raw["training"] = {"augment": {"jitter": 249}}
    assert parse_config(raw).training.augment.jitter == 249


def test_missing_key_is_named():
    raw = copy.deepcopy(MINIMAL)
    del raw["cell_lines"]["A"]["dnase"]
    with pytest.raises(UserError, match=r"cell_lines\.A\.dnase: required key is missing"):
        parse_config(raw)


def test_a_fantom5_library_is_two_strands():
    raw = changed(
        "cell_lines.A.expression.CAGE",
        {
            "replicates": [
                {"fantom5": "CNhs14067"},
                {"fantom5": "CNhs14068", "strand": "-"},
                {"path": "x.bw"},
            ]
        },
    )
    both, one, own = parse_config(raw).cell_lines["A"].expression["CAGE"].tracks()
    assert [(track.fantom5, track.strand) for track in (both.forward, both.reverse)] == [
        ("CNhs14067", "+"),
        ("CNhs14067", "-"),
    ]
    assert (one.fantom5, one.strand, own.path) == ("CNhs14068", "-", "x.bw")


@pytest.mark.parametrize("assay", ["DNase", "ATAC", "RNA", "Hi-C", "H3K27ac", "H2AFZ"])
def test_an_encode_file_by_what_it_measures(assay):
    raw = changed("cell_lines.A.dnase.encode", {"biosample": "K562", "assay": assay})
    query = parse_config(raw).cell_lines["A"].dnase.encode
    assert (query.biosample, query.assay, query.output_type) == ("K562", assay, None)


def test_a_window_too_short_for_its_network_is_an_error():
    raw = changed("models", {"short": {"kind": "prism", "window_length": 60}})
    raw["window"] = {"promoter_length": 20}
    with pytest.raises(UserError) as error:
        parse_config(raw)
    assert str(error.value) == (
        "config: models.short: its window has 60 bp, but a prism of these settings "
        "reads 64 bp or more; lengthen it or drop the model"
    )
    raw["models"]["short"]["window_length"] = 64
    parse_config(raw)


RETRAIN = {"kind": "seq2exp_retrain", "mask_from": "seq2exp_soft"}


def test_a_model_may_take_the_mask_of_another():
    model = parse_config(changed("models.retrain", RETRAIN)).models["retrain"]
    assert (model.mask_from, model.fraction, model.placement) == ("seq2exp_soft", 0.1, "learned")
    assert model.predictor_layers == 4


@pytest.mark.parametrize(
    ("settings", "others", "message"),
    [
        (
            {"mask_from": "soft"},
            {},
            r"models\.retrain\.mask_from soft: no such model; name a seq2exp",
        ),
        (
            {"mask_from": "linear"},
            {},
            r"mask_from linear: of kind signal_linear; name a seq2exp_soft",
        ),
        (
            {"mask_from": "retrain"},
            {},
            r"mask_from retrain: of kind seq2exp_retrain; name a seq2exp_s",
        ),
        ({"mask_from": None}, {}, r"models\.retrain\.mask_from: None should be a valid string"),
        (
            {"source": {}},
            {},
            r"models\.retrain\.source: taken from the model in mask_from; remove it",
        ),
        (
            {"window_length": 5_000},
            {},
            r"retrain\.window_length 5000 differs from that of seq2exp_soft \(200000\)",
        ),
        (
            {"mask_from": "p"},
            {"models.p": {"kind": "seq2exp_soft", "mask_region": "promoter"}},
            r"mask_from p: its mask is the promoter alone \(mask_region: promoter\); name another",
        ),
        (
            {"fraction": 0.001},
            {},
            r"fraction 0\.001: the promoter alone is 0\.01 of the window; raise",
        ),
        ({"fraction": 0}, {}, r"models\.retrain\.fraction: 0 should be greater than 0"),
        (
            {"placement": "random"},
            {},
            r"models\.retrain\.placement: 'random' should be 'learned' or",
        ),
        (
            {"placement": "shifted"},
            {"training.augment": {"reverse_complement": True}},
            r"retrain\.placement shifted: with training\.augment\.reverse_complement a gene's mask",
        ),
    ],
)
def test_masks_that_cannot_be_taken(settings, others, message):
    raw = changed("models.retrain", {**RETRAIN, **settings})
    for key, value in others.items():
        section, name = key.split(".")
        raw.setdefault(section, {})[name] = value
    with pytest.raises(UserError, match=message) as caught:
        parse_config(raw, "my.yaml")
    assert "\n" not in str(caught.value)


def test_parts_of_masks_that_no_model_has():
    raw = changed("regions", {"other_tracks": ["sequence_part", "prior"]})
    parse_config(raw)
    raw["models"] = {"seq2exp_soft": {"evidence": ["sequence"]}}
    with pytest.raises(UserError, match=r"regions.other_tracks prior: no model of the config has"):
        parse_config(raw)


def test_false_discoveries_need_the_masks_of_test_genes():
    raw = changed("regions", {"select": "fdr"})
    parse_config(raw)
    raw["prediction"] = {"mask_splits": ["train"]}
    with pytest.raises(
        UserError, match=r"counted on test genes; add test to prediction\.mask_splits"
    ):
        parse_config(raw)
