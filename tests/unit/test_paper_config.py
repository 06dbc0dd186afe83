import copy

import pytest

from seq2exp.config import parse_config
from seq2exp.errors import UserError
from seq2exp.paper_config import as_written, changed_settings, setting
from tests.unit.test_config import MINIMAL


def config_with(ablations: object, **models: object) -> dict:
    raw = copy.deepcopy(MINIMAL)
    raw["models"]["seq2exp_soft"] = {"d_model": 32, "marginal": {"mean": 0.2}}
    raw["models"] |= models
    raw["ablations"] = ablations
    return raw


WINDOW = {
    "model": "seq2exp_soft",
    "axis": "window_length",
    "variants": {"2kb": {"window_length": 2_000}, "20kb": {"window_length": 20_000}},
}


def test_a_variant_is_a_model_with_the_settings_of_its_base():
    size = {"model": "seq2exp_soft", "variants": {"m5": {"marginal": {"scale": 5.0}}}}
    config = parse_config(config_with({"window": WINDOW, "marginal": size}))
    names = ["seq2exp_soft-2kb", "seq2exp_soft-20kb", "seq2exp_soft-m5"]
    assert list(config.models) == ["seq2exp_soft", "linear", *names]
    assert config.main_models() == ["seq2exp_soft", "linear"]
    assert config.ablations["window"].names() == names[:2]
    short, changed = config.models[names[0]], config.models[names[2]]
    assert (short.window_length, short.d_model) == (2_000, 32)
    # Nested settings are replaced one by one.
    assert (changed.marginal.mean, changed.marginal.scale) == (0.2, 5.0)
    assert config.models["seq2exp_soft"].marginal.scale == 10


def test_a_variant_of_another_kind_keeps_what_that_kind_has_too():
    single = {"kind": "caduceus_signals", "layers": 8}
    config = parse_config(config_with({"c": {"model": "seq2exp_soft", "variants": {"8l": single}}}))
    model = config.models["seq2exp_soft-8l"]
    assert (model.kind, model.layers, model.d_model) == ("caduceus_signals", 8, 32)


def test_two_groups_share_a_model_where_they_mean_the_same():
    config = parse_config(config_with({"a": WINDOW, "b": WINDOW}))
    assert len(config.models) == 4
    other = {**WINDOW, "variants": {"2kb": {"window_length": 2_002}}}
    with pytest.raises(
        UserError, match=r"ablations\.b\.variants\.2kb: another group's '.*2kb' dif"
    ):
        parse_config(config_with({"a": WINDOW, "b": other}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model": "soft"},
            r"ablations\.g\.model: 'soft' is no model; choose one of seq2exp_soft, l",
        ),
        ({"model": None}, r"ablations\.g\.model: None should be a valid string"),
        ({"modle": "x"}, r"ablations\.g\.modle: unknown key \(did you mean 'model'\?\)"),
        ({"variants": {}}, r"ablations\.g\.variants: .*at least 1"),
        ({"variants": ["2kb"]}, r"ablations\.g\.variants: .*dictionary"),
        ({"variants": {"2kb": 2000}}, r"ablations\.g\.variants\.2kb: 2000 .*dictionary"),
        (
            {"variants": {"../2": {"window_length": 2_000}}},
            r"ablations\.g\.variants\.\.\./2: not a usable name \('seq2exp_soft-\.\./2'\)",
        ),
        (
            {"variants": {"2kb": {"window_lenght": 2_000}}},
            r"g\.variants\.2kb\.window_lenght: unknown key \(did you mean 'window_length'\?\)",
        ),
        (
            {"variants": {"2kb": {"window_length": 400_000}}},
            r"^my\.yaml: ablations\.g\.variants\.2kb\.window_length 400000 must be even and",
        ),
        (
            {"variants": {"x": {"kind": "hard"}}},
            r"g\.variants\.x: unknown model kind 'hard'; known",
        ),
        (
            {"variants": {"same": {"d_model": 32}}},
            r"^my\.yaml: ablations\.g\.variants\.same changes nothing of seq2exp_soft; remove it",
        ),
        (
            {"axis": "signal_transform"},
            r"ablations\.g\.axis: 'signal_transform' is no number of seq2exp_soft; name a numeric",
        ),
        ({"axis": "layers"}, r"ablations\.g\.axis: 'layers' is no number of seq2exp_soft"),
        (
            {"variants": {"n" * 60: {"window_length": 2_000}}},
            r"ablations\.g\.variants\.n{60}: .*at most 64 characters",
        ),
    ],
)
def test_a_wrong_ablation_is_one_line_in_the_users_words(changes, message):
    with pytest.raises(UserError, match=message) as caught:
        parse_config(config_with({"g": WINDOW | changes}), "my.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ablations", [[], "x", {"g": None}, {"g": {"model": {"a": 1}}}])
def test_a_section_of_another_form_is_one_line_too(ablations):
    with pytest.raises(UserError, match=r"^my\.yaml: ablations"):
        parse_config(config_with(ablations), "my.yaml")


def test_a_variant_may_not_take_the_name_of_a_model():
    models = {"seq2exp_soft-2kb": {"kind": "caduceus"}}
    with pytest.raises(
        UserError, match=r"g\.variants\.2kb: models has a 'seq2exp_soft-2kb' already"
    ):
        parse_config(config_with({"g": WINDOW}, **models))


def test_keys_that_begin_alike_are_told_apart():
    ablations = {"g": {"model": "a", "variants": {"x": {}, "x2": {}, "x-2": {}}}}
    said = "models.a-x2 and models.a-x-2.d_model, models.a-x: no; models.a-x3"
    g = "ablations.g.variants"
    assert as_written(said, ablations) == f"{g}.x2 and {g}.x-2.d_model, {g}.x: no; models.a-x3"


def test_nothing_of_the_base_is_changed():
    base = {"kind": "seq2exp_soft", "prior": {"scale": 1}}
    assert changed_settings(base, {"prior": {"beta_min": 0}}) == {
        "kind": "seq2exp_soft",
        "prior": {"scale": 1, "beta_min": 0},
    }
    assert base == {"kind": "seq2exp_soft", "prior": {"scale": 1}}


def test_numeric_settings():
    models = parse_config(config_with({})).models
    soft = models["seq2exp_soft"]
    assert setting(soft, "window_length", 200_000) == 200_000
    assert setting(soft, "marginal.mean", 200_000) == 0.2
    assert setting(soft, "kind", 200_000) is None
    assert setting(models["linear"], "marginal.mean", 200_000) is None
