"""Asking servers: pauses between tries, and how long an answer is kept."""

import json
from types import SimpleNamespace

import pytest
import requests

from seq2exp import portals
from seq2exp.portals import Answers, Reply, address, ask


@pytest.fixture
def replies(monkeypatch):
    """What a server answers, one by one; and the pauses before each repetition."""
    queue: list = []
    pauses: list = []

    class Session:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def get(self, url, timeout):
            reply = queue.pop(0)
            if isinstance(reply, Exception):
                raise reply
            status, headers = reply
            return SimpleNamespace(status_code=status, headers=headers, text=f"{url} {status}")

    monkeypatch.setattr(portals, "open_session", Session)
    monkeypatch.setattr(portals.time, "sleep", pauses.append)
    return SimpleNamespace(queue=queue, pauses=pauses)


def test_pauses_double_unless_the_server_says_otherwise(replies):
    replies.queue += [(503, {}), (429, {"Retry-After": "7"}), requests.Timeout(), (200, {})]
    assert ask("u") == Reply(200, "u 200")
    assert replies.pauses == [1, 7, 4]


def test_no_server_may_ask_for_more_than_two_minutes(replies):
    replies.queue += [(503, {"Retry-After": "86400"}), (503, {"Retry-After": "soon"}), (404, {})]
    assert ask("u").status == 404
    assert replies.pauses == [120, 2]


def test_the_last_try_counts(replies):
    replies.queue += [(503, {})] * 5
    assert ask("u").status == 503
    assert replies.pauses == [1, 2, 4, 8]
    replies.queue += [requests.ConnectionError()] * 5
    with pytest.raises(requests.ConnectionError):
        ask("u")
    assert not replies.queue


def test_answers_are_kept_for_some_days(tmp_path):
    given = iter(("one", "two", "three"))
    answers = Answers(tmp_path, ask=lambda url: Reply(200, next(given)))
    assert answers.text("https://x/y?z", key="k", keep_days=3) == "one"
    assert answers.text("https://x/y?z", key="k", keep_days=3) == "one"
    assert answers.text("https://x/y?z", key="k") == "two"
    (file,) = tmp_path.iterdir()
    kept = json.loads(file.read_text())
    file.write_text(json.dumps(kept | {"date": "2020-01-01T00:00:00+00:00"}))
    assert answers.text("https://x/y?z", key="k", keep_days=3) == "three"
    assert Answers(tmp_path, offline=True).text("https://x/y?z", key="k") == "three"


def test_names_of_kept_answers_are_safe_and_apart(tmp_path):
    answers = Answers(tmp_path, ask=lambda url: Reply(200, url))
    urls = [
        "https://x/../../etc/passwd",
        "https://x/a?b=1",
        "https://x/a?b=2",
        "https://x/" + "a" * 500,
    ]
    for url in urls:
        answers.text(url, key="k")
    names = [file.name for file in tmp_path.iterdir()]
    assert len(names) == 4
    assert all(name.isascii() and "/" not in name and len(name) < 120 for name in names)
    for url in urls:
        assert Answers(tmp_path, offline=True).text(url, key="k") == url


def test_addresses_repeat_lists_and_escape_values():
    assert address("https://x/", a=["b c", "d"], e="f&g") == "https://x/?a=b+c&a=d&e=f%26g"
