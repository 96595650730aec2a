"""Rules in YAML: what they become, and the sentence for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from ava_det.events import Rule, load_rules
from ava_det.events.rules import JsonLine, PostWebhook, RunCommand, SaveClip, SavePicture

NAMES = {5: "fall down", 64: "fight/hit (a person)", 71: "hug (a person)"}
WHOLE = """
rules:
  - name: two at it
    when: fight/hit or hug > 0.3
    person_score: 0.6
    zone: [[0, 0], [1, 0], [0.5, 1]]
    count: 2
    duration: 1.5
    max_gap: 1
    cooldown: 30
    do:
      - json: out/events.jsonl
      - picture: out
      - clip: out
      - clip: {folder: out, before: 2, after: 0}
      - command: [notify, "{rule} {time}"]
      - command: {arguments: [notify], timeout: 3}
      - webhook: https://example.org/hook?key=1
      - webhook: {url: "http://127.0.0.1:80/", timeout: 1.5, retries: 0}
"""


def load(path: Path, text: str) -> list[Rule]:
    path.write_text(text, "utf-8")
    return load_rules(path, NAMES, {64: 0.4, 71: 0.5})


def test_every_key(tmp_path: Path) -> None:
    [rule] = load(tmp_path / "r.yaml", WHOLE)
    assert rule.when is not None
    assert rule.when.holds({64: 0.4}) and rule.when.holds({71: 0.31}) and not rule.when.holds({})
    assert (rule.name, rule.person_score, rule.count) == ("two at it", 0.6, 2)
    assert (rule.duration, rule.max_gap, rule.cooldown) == (1.5, 1, 30)
    assert rule.zone == ((0, 0), (1, 0), (0.5, 1))
    assert rule.do == (
        JsonLine(Path("out/events.jsonl")),
        SavePicture(Path("out")),
        SaveClip(Path("out"), 5, 5),
        SaveClip(Path("out"), 2, 0),
        RunCommand(("notify", "{rule} {time}"), 60),
        RunCommand(("notify",), 3),
        PostWebhook("https://example.org/hook?key=1", 5, 2),
        PostWebhook("http://127.0.0.1:80/", 1.5, 0),
    )


def test_the_smallest_rule(tmp_path: Path) -> None:
    text = "rules: [{name: a, when: 5, do: [{json: e.jsonl}]}]"
    [rule] = load(tmp_path / "r.yaml", text)
    assert rule.when is not None and rule.when.actions == {5}
    assert (rule.zone, rule.count, rule.duration, rule.cooldown) == (None, None, 0, 0)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("rules:", "rule:", "expected one key, rules"),
        ("    zone", "   zone", "line 6: expected YAML"),
        ("name: two at it", "name: ../x", "rule 1: name: expected letters"),
        ("name: two at it", "nam: x", "rule 1: expected keys of name, when, .* received 'nam'"),
        ("hug > 0.3", "hugg > 0.3", "'two at it': when: .*did you mean 'hug'"),
        ("fight/hit or hug > 0.3", "true", "when: expected an action"),
        ("0.6", "1.6", "person_score: expected a score 0..1, received 1.6"),
        ("0.6", "yes", "person_score: expected a score 0..1, received True"),
        ("[0.5, 1]]", "[0.5, 1.1]]", "zone: expected three or more corners"),
        ("[0, 0], [1, 0], [0.5, 1]", "[0, 0], [1, 0]", "zone: expected three"),
        ("[0, 0], [1, 0], [0.5, 1]", "0, 1, 2", "zone: expected three"),
        ("count: 2", "count: 0", "count: expected a number of persons, 1 or more, received 0"),
        ("duration: 1.5", "duration: -1", "duration: expected seconds, 0 or more, received -1"),
        ("cooldown: 30", "cooldown: .inf", "cooldown: expected seconds"),
        ("cooldown: 30", "cooldown: .nan", "cooldown: expected seconds"),
        ("- picture: out", "- photo: out", "do: expected one of json, picture, clip, command"),
        ("- picture: out", "- picture: [out]", "do: picture: expected a folder"),
        ("after: 0", "after: 9999", "clip: after: expected seconds, 0 to 600"),
        ("after: 0", "later: 0", "clip: expected keys of folder, before, after"),
        ('[notify, "{rule} {time}"]', "notify now", "do: command: expected keys"),
        ("{time}", "{when}", "placeholders of rule, video"),
        ("[notify]", "[notify, 3]", "arguments: expected a list of the program"),
        ("https://example.org", "ftp://example.org", "url: expected a URL of http or https"),
        ("https://example.org", "file:///etc/passwd", "url: expected a URL of http or https"),
        ("http://127.0.0.1:80/", "http://127.0.0.1:x/", "url: expected a URL"),
        ("timeout: 1.5", "timeout: 0", "timeout: expected seconds, more than 0"),
        ("retries: 0", "retries: 11", "retries: expected a number of retries, 0 to 10"),
    ],
)
def test_mistakes(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in WHOLE
    with pytest.raises(ValueError, match=rf"^{tmp_path}/r\.yaml.*{words}"):
        load(tmp_path / "r.yaml", WHOLE.replace(old, new, 1))


def test_more_mistakes(tmp_path: Path) -> None:
    for text, words in (
        ("rules: []", "rules: expected a list"),
        ("", "expected one key"),
        ("rules: [3]", "rule 1: expected keys of name"),
        ("rules: [{name: a, do: [{json: x}]}]", "'a': expected when, zone or count"),
        ("rules: [{name: a, when: 5}]", "do: expected a list of json, .*which is missing"),
        ("rules: [{name: a, when: 5, do: [json]}]", "received 'json'"),
        ("!!python/object/apply:os.system ['true']", "line 1: expected YAML"),
    ):
        with pytest.raises(ValueError, match=words):
            load(tmp_path / "r.yaml", text)
    same = "{name: a, when: 5, do: [{json: x}]}"
    with pytest.raises(ValueError, match="another than 'a'"):
        load(tmp_path / "r.yaml", f"rules: [{same}, {same}]")
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_rules(tmp_path / "none.yaml", NAMES, {})
