"""The seq2exp command: exit codes and the one line a user sees."""

import pytest
import yaml

from seq2exp import __version__
from seq2exp.cli import check_files, main
from seq2exp.errors import UserError


def run(capsys, *arguments):
    """Exit code (or message), stdout and stderr of one command."""
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


def test_version(capsys):
    assert run(capsys, "--version") == (0, f"{__version__}\n", "")


def test_a_good_config_is_counted(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = {"encode": "ENCFF465GBD"}
    config = {
        "genome": {"name": "hg38", "fasta": {"url": "https://x.org/a.fa"}, "annotation": source},
        "cell_lines": {
            "K562": {"h3k27ac": source, "dnase": source, "expression": {"CAGE": {"bigwig": source}}}
        },
        "models": {"caduceus": {}, "signal_linear": {}},
        "seeds": [1, 2, 3],
    }
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(config))
    code, out, err = run(capsys, "check-config", "my.yaml")
    assert (code, err) == (0, "")
    assert out == "my.yaml: good; 6 runs, results in results/\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ("absent.yaml", "cannot be read", "correct the path")),
        ("a: [1", ("not valid YAML", "line 1")),
        ("- a\n- b\n", ("holds no settings",)),
        ("genom: {}\n", ("genom: unknown key (did you mean 'genome'?)",)),
    ],
)
def test_a_config_that_cannot_be_used_is_one_line(capsys, tmp_path, text, words):
    path = tmp_path / ("absent.yaml" if text is None else "my.yaml")
    if text is not None:
        path.write_text(text)
    message, out, _ = run(capsys, "check-config", path)
    assert message.startswith(f"error: {path}: ")
    assert "\n" not in message
    assert not [word for word in words if word not in message], message
    assert out == ""


def test_files_are_checked_in_another_process():
    raw = {"genome": {"name": "hg38"}, "folds": {"run": [13]}}
    with pytest.raises(UserError, match=r"^my\.yaml: genome\.fasta: required key is missing"):
        check_files(raw, "my.yaml")


def test_a_crash_of_the_check_is_not_taken_for_a_users_mistake(monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", "none")
    with pytest.raises(RuntimeError, match="PYTHONHASHSEED"):
        check_files({}, "my.yaml")
