"""Rules the workflow's files keep: thin scripts, logs, code versions, one set of pins."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml

from seq2exp.config import parse_config
from tests.workflow.conftest import ROOT, run_snakemake

RULE_FILES = sorted((ROOT / "rules").glob("*.smk"))
SCRIPTS = sorted((ROOT / "workflow_scripts").glob("*.py"))
RULES = {
    name: body
    for file in RULE_FILES
    for name, body in re.findall(
        r"^rule (\w+):\n(.*?)(?=^\S|\Z)", file.read_text(), re.MULTILINE | re.DOTALL
    )
}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_is_thin_and_reports_to_the_log(script):
    lines = script.read_text().splitlines()
    assert len(lines) <= 25
    assert "with job(snakemake):" in lines


def test_every_script_belongs_to_a_rule():
    used = {name for body in RULES.values() for name in re.findall(r"scripts/(\w+\.py)", body)}
    assert used == {script.name for script in SCRIPTS}


@pytest.mark.parametrize("name", RULES)
def test_rule_has_a_log_an_environment_and_a_code_version(name):
    body = RULES[name]
    assert "    log:\n" in body
    own = {"call_peaks": "MACS3"}  # programs that cannot share the package's environment
    assert f"    conda:\n        {own.get(name, 'ENVIRONMENT')}\n" in body
    assert "    run:\n" not in body
    # Downloads alone must outlive a new version of the package; other programs have their own.
    assert ("code=CODE" in body) == (name not in ("fetch_source", *own))


def test_no_file_of_rules_is_long():
    assert len((ROOT / "rules" / "common.smk").read_text().splitlines()) <= 150


def lock_pins():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return dict(re.fullmatch(r"([\w.-]+)==([^ ]+)(?: ;.*)?", line).groups() for line in lines)


def test_lock_names_exact_versions_and_no_place():
    pins = lock_pins()
    assert not {name for name, version in pins.items() if "+" in version or "*" in version}
    assert pins["torch"] == "2.13.0"


def test_conda_environment_has_the_locks_pins_for_every_dependency():
    pypi = {"pytorch": "torch", "matplotlib-base": "matplotlib", "snakemake-minimal": "snakemake"}
    environment = yaml.safe_load((ROOT / "envs" / "seq2exp.yaml").read_text())
    *conda, pip = environment["dependencies"]
    pins = dict(pin.split("=") for pin in conda)
    pins = {pypi.get(name, name): version for name, version in pins.items()}
    assert pins.pop("python") == "3.11"
    del pins["bedtools"], pins["pip"]  # not what the project is made of
    pins |= dict(pin.split("==") for pin in pip["pip"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["enformer"]]
    needed = {re.match(r"[\w.-]+", line)[0].lower() for line in wanted}
    assert set(pins) == needed
    locked = lock_pins()
    assert pins == {name: locked[name] for name in needed}


def test_configs_in_the_repository_are_good():
    examples = (f"docs/examples/{name}.yaml" for name in ("own_data", "simulated"))
    demos = (f"demo/{name}.yaml" for name in ("config", "paper", "distance"))
    for path in ("config.yaml", *demos, *examples):
        parse_config(yaml.safe_load((ROOT / path).read_text()), path)


def test_snakemake_lint_is_clean(tmp_path):
    (tmp_path / "config.yaml").write_text((ROOT / "config.yaml").read_text())
    done = run_snakemake("--lint", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Congratulations" in done.stderr


def test_snakefmt_is_clean():
    command = [sys.executable, "-m", "snakefmt", "--check", str(ROOT / "Snakefile")]
    done = subprocess.run([*command, str(ROOT / "rules")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
