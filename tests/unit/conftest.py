"""What unit tests of the same modules share."""

import pytest

from seq2exp import encode, fantom5, fourdn, portals
from seq2exp.downloads.http import open_session

from ..portal_server import serve
from . import tiny_training


@pytest.fixture
def portal(monkeypatch, tmp_path):
    """A server on this machine in place of ENCODE, 4DN and FANTOM5; no pauses."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(portals, "open_session", lambda: open_session(per_second=1e6))
    monkeypatch.setattr(portals, "PAUSES", (0.0, 0.0))
    with serve() as portal:
        monkeypatch.setattr(encode, "PORTAL", portal.url)
        monkeypatch.setattr(fourdn, "PORTAL", portal.url)
        monkeypatch.setattr(fantom5, "HUB", f"{portal.url}/datahub")
        yield portal


@pytest.fixture(scope="session")
def training_data(tmp_path_factory):
    """Window store of SimA and folds.tsv: 20 genes to train, 8 to validate, 8 to test."""
    folder = tmp_path_factory.mktemp("training")
    tiny_training.build_data(folder)
    return folder


@pytest.fixture(scope="session")
def undisturbed(training_data, tmp_path_factory):
    """Artefacts of a training that nothing disturbed."""
    out = tmp_path_factory.mktemp("undisturbed")
    tiny_training.run_training(training_data, out)
    return out
