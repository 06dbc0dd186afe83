"""Figures, page and command over synthetic runs: what is drawn is read back from SVG and HTML."""

import base64
import re

import pytest
import yaml

from seq2exp.cli import main
from seq2exp.config import parse_config
from seq2exp.figures.ablations import ablation_bars, view_bars
from seq2exp.figures.accuracy import accuracy_of_models
from seq2exp.figures.axis import accuracy_along_axis, curves
from seq2exp.figures.mask_ratio import mask_ratios
from seq2exp.matrix import Cell, Matrix
from seq2exp.paper.build import build_paper
from seq2exp.paper.estimates import Estimates
from seq2exp.paper.figures import paper_figures
from seq2exp.paper.files import NUMBERS, axis_figure, figure_names, table_names
from seq2exp.paper.published import masked_models
from seq2exp.paper.results import files_in_results
from seq2exp.schemas import read_table
from tests.unit.synthetic_results import VIEWS, raw_config, synthetic_matrix, write_results
from tests.unit.test_figures import png_size, texts


@pytest.fixture(scope="module")
def matrix():
    return synthetic_matrix(views=VIEWS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, matrix):
    """Everything built from runs of which those of one variant in SimB are missing."""
    folder = tmp_path_factory.mktemp("paper")
    files = write_results(folder / "results", matrix, genes=30)
    for run in files:
        if run.cell[:3] == ("SimB", "CAGE", "seq2exp_soft-500bp"):
            run.metrics.unlink()
    locus = folder / "locus_1.png"
    locus.write_bytes(b"\x89PNG\r\n\x1a\nlocus")
    build_paper(matrix, files, folder / "paper", loci=[locus, folder / "locus_2.png"])
    return folder / "paper"


def test_every_file_that_is_named_beforehand_is_there_and_no_other(folder, matrix):
    assert Estimates._fields == NUMBERS
    tables = [f"tables/{n}.{kind}" for n in table_names(matrix) for kind in ("tsv", "tex", "html")]
    figures = [f"figures/{name}.{kind}" for name in figure_names(matrix) for kind in ("png", "pdf")]
    numbers = [f"numbers/{name}.tsv" for name in NUMBERS]
    found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert found == {*tables, *figures, *numbers, "index.html"}
    assert figure_names(matrix) == [
        *("causal_graph", "architecture", "accuracy", "mask_ratio", "axis_window_length"),
        *("ablation_window", "ablation_kl", "views"),
    ]
    assert axis_figure("marginal.mean") == "axis_marginal_mean"
    assert [figure.name for figure in paper_figures(matrix, folder, folder)] == figure_names(matrix)


def test_the_page_holds_every_table_and_picture_and_says_what_is_missing(folder, matrix):
    page = (folder / "index.html").read_text()
    assert "36 of 40 runs are done" in page
    assert "SimB/CAGE/seq2exp_soft-500bp/fold2_seed22: not run" in page
    assert page.count("<table>") == len(table_names(matrix))
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == len(figure_names(matrix)) + 1
    assert base64.b64decode(pictures[-1]).endswith(b"locus")
    assert "K562/CAGE/seq2exp_soft/fold1_seed2" in page
    assert 'src="figures' not in page  # one file, to be sent alone


def test_accuracy_names_models_published_and_missing_ones(folder, tmp_path):
    out = tmp_path / "a.svg"
    accuracy_of_models(folder / "tables/accuracy.tsv", folder / "numbers/seeds.tsv", [out])
    words = texts(out)
    for label in ("K562, CAGE", "SimB, CAGE", "seq2exp_soft", "linear", "Enformer", "published"):
        assert label in words
    assert "Pearson r" in words
    assert "not run" not in words
    # 13 rows in K562, 2 in SimB, at .26 inches, and the panels' margins
    assert png_size(folder / "figures/accuracy.png")[0] == 1080


def test_ablations_name_their_base_and_what_is_missing(folder, tmp_path):
    out = tmp_path / "a.svg"
    ablation_bars(folder / "numbers/comparison.tsv", [out], group="window")
    words = texts(out)
    assert "difference to seq2exp_soft" in words
    assert words.count("500bp") == 2
    assert words.count("not run") == 2  # r and MSE of SimB
    view_bars(folder / "numbers/views.tsv", [tmp_path / "v.svg"])
    words = texts(tmp_path / "v.svg")
    assert "seq2exp_soft: 2kb" in words
    assert "linear: 500bp" in words
    assert "shifted" not in words


def test_curves_go_through_the_estimates(folder, matrix):
    accuracy = read_table(folder / "numbers/accuracy.tsv", text=("model",))
    views = read_table(folder / "numbers/views.tsv", text=("model", "view", "skipped"))
    own = accuracy[accuracy["cell_line"] == "K562"].set_index("model")
    seen = views[(views["cell_line"] == "K562") & (views["model"] == "seq2exp_soft")]
    trained, cropped = curves(
        own.reset_index(), views[views["cell_line"] == "K562"], matrix, "window_length"
    )
    assert trained.points["x"].tolist() == cropped.points["x"].tolist() == [500, 2_000, 10_000]
    names = ["seq2exp_soft-500bp", "seq2exp_soft-2kb", "seq2exp_soft"]
    assert trained.points["y"].tolist() == own.loc[names, "pearson"].tolist()
    assert trained.points["low"].tolist() == own.loc[names, "pearson_low"].tolist()
    by_view = seen.set_index("view")["pearson"]
    assert cropped.points["y"].tolist() == by_view[["500bp", "2kb", "full"]].tolist()
    assert "test time only" in cropped.label


def test_axis_and_mask_figures_label_what_they_show(folder, matrix, tmp_path):
    numbers, out = folder / "numbers", tmp_path / "x.svg"
    accuracy_along_axis(
        *(numbers / "accuracy.tsv", numbers / "views.tsv", [out]),
        matrix=matrix,
        axis="window_length",
    )
    words = texts(out)
    for label in ("window length (kb)", "seq2exp_soft, cropped at test time only", "0.5", "10"):
        assert label in words
    models = masked_models(matrix)
    mask_ratios(numbers / "mask_ratio.tsv", folder / "tables/accuracy.tsv", [out], models=models)
    words = texts(out)
    assert "seq2exp_soft-no_kl" in words
    assert "linear" not in words  # it has no mask
    assert "published" not in words  # of soft's mask ratio nothing is


def test_the_architecture_has_the_sizes_of_the_config(tmp_path, matrix):
    figures = {figure.name: figure for figure in paper_figures(matrix, tmp_path, tmp_path)}
    figures["architecture"].draw([tmp_path / "a.svg"])
    words = texts(tmp_path / "a.svg")
    for label in (
        "10,000 bp x 4",
        "4 to 16",
        "generator: 4 layers",
        "KL to Beta(10, 90)",
        "200 bp",
    ):
        assert label in words
    without = matrix.model_copy(update={"main_models": ("linear",)})
    figures = {figure.name: figure for figure in paper_figures(without, tmp_path, tmp_path)}
    figures["architecture"].draw([tmp_path / "b.svg"])
    assert "4 to 128" in texts(tmp_path / "b.svg")
    assert "sizes of the paper" in texts(tmp_path / "b.svg")
    figures["causal_graph"].draw([tmp_path / "c.svg"])
    assert "active regulatory" in texts(tmp_path / "c.svg")


def test_everything_is_drawn_before_any_run_and_without_masks(tmp_path):
    raw = raw_config()
    raw |= {"models": {"linear": raw["models"]["linear"]}, "ablations": {}}
    matrix = Matrix.of(parse_config(raw | {"evaluation": {"views": VIEWS}}))
    assert matrix.example() is None
    build_paper(matrix, files_in_results(tmp_path / "results", matrix), tmp_path / "paper")
    page = (tmp_path / "paper" / "index.html").read_text()
    assert "0 of 8 runs are done" in page
    assert "None drawn." in page
    assert "nan" not in re.sub(r"<[^>]*>", " ", page).lower().split()


def test_the_command_draws_what_is_there(tmp_path, capsys):
    raw = raw_config()
    raw |= {"cell_lines": {"K562": raw["cell_lines"]["K562"]}, "ablations": {}}
    raw |= {"results": str(tmp_path / "results")}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(raw))
    matrix = Matrix.of(parse_config(raw))
    files = write_results(tmp_path / "results", matrix, genes=8)
    assert matrix.example() == Cell("K562", "CAGE", "seq2exp_soft", 1, 2)
    for run in files[1:]:
        run.predictions.unlink()
    main(["paper", str(tmp_path / "my.yaml")])
    page = tmp_path / "results" / "paper_so_far" / "index.html"
    assert capsys.readouterr().out.strip() == str(page)
    assert "1 of 8 runs are done" in page.read_text()
    main(["paper", str(tmp_path / "my.yaml"), "--out", str(tmp_path / "elsewhere")])
    for name in ("tables/accuracy.tsv", "numbers/comparison.tsv", "figures/accuracy.pdf"):
        again = (tmp_path / "elsewhere" / name).read_bytes()
        assert again == (page.parent / name).read_bytes()  # the same to the byte
