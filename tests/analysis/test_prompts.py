"""What models say around their JSON is let pass; what is not there is never made up."""

import json

import pytest

from sae_jax.analysis import prompts
from sae_jax.analysis.prompts import Unparsable

LABEL = {"label": "horses and riding", "why": "All speak of them.", "confidence": 7}
NAMED = prompts.Named("horses and riding", "All speak of them.", 7.0)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(LABEL),
        f"Sure! Here it is:\n```json\n{json.dumps(LABEL, indent=2)}\n```\nAnything else?",
        f"<think>{{maybe [1] or {json.dumps(LABEL | {'label': 'dogs'})}</think>"
        + json.dumps(LABEL),
        json.dumps(LABEL | {"label": ' "horses  and\nriding." ', "confidence": "7"}),
    ],
)
def test_a_label_is_found_whatever_stands_around_it(text):
    assert prompts.read_label(text) == NAMED


@pytest.mark.parametrize("why", [{}, {"why": None}, {"why": 3, "confidence": "high"}])
def test_a_label_may_lack_the_rest(why):
    assert prompts.read_label(json.dumps({"label": "x"} | why)) == prompts.Named("x", "", None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no JSON object with a label"),
        ("horses", "no JSON object with a label"),
        (json.dumps(LABEL)[:20], "no JSON object with a label"),
        ('{"name": "x"}', "no JSON object with a label"),
        ('{"label": 3}', "its label is not a text"),
        ('{"label": "…", "why": "…"}', "its label has 0 words"),
        ('{"label": " . "}', "its label has 0 words"),
        (json.dumps({"label": "word " * 13}), "its label has 13 words; expected 2 to 8"),
        ("[" * 5_000, "no JSON object with a label"),
    ],
)
def test_what_is_no_label_is_said(text, problem):
    with pytest.raises(Unparsable, match=problem):
        prompts.read_label(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"1": 9, "2": 0.5, "3": 10}',
        '```\n{"3": 10, "2": 0.5, "1": "9"}\n```',
        'Let me see [2]. {"confidences": {"1": 9, "2": 0.5, "3": 10}}',
        '{"confidences": [9, 0.5, 10]}',
        "[9, 0.5, 10]",
    ],
)
def test_confidences_come_in_the_order_of_the_texts(text):
    assert prompts.read_confidences(text, n=3) == [9.0, 0.5, 10.0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("none", "no JSON object"),
        ('{"1": 9, "2": 0.5', "no JSON object"),
        ('{"1": 9, "2": 0.5}', "has 2 numbers; expected those of the texts 1 to 3"),
        ('{"1": 9, "2": 0.5, "4": 1}', "has 3 numbers"),
        ("[1, 2, 3, 4]", "has 4 numbers"),
        ('{"1": 9, "2": null, "3": 1}', "null is not a number from 0 to 10"),
        ('{"1": 9, "2": true, "3": 1}', "true is not a number"),
        ('{"1": 9, "2": -1, "3": 1}', "-1 is not a number"),
        ('{"1": 9, "2": 11, "3": 1}', "11 is not a number"),
        ('{"1": 9, "2": NaN, "3": 1}', "NaN is not a number"),
        ('{"1": 9, "2": {}, "3": 1}', "is not a number"),
    ],
)
def test_a_confidence_that_is_not_there_is_never_made_up(text, problem):
    with pytest.raises(Unparsable, match=problem):
        prompts.read_confidences(text, n=3)


@pytest.mark.parametrize("n_digits", [310, 4_000, 5_000])
def test_a_confidence_too_large_for_a_float_is_no_confidence(n_digits):
    large = "9" * n_digits
    with pytest.raises(Unparsable):
        prompts.read_confidences(f'{{"1": {large}}}', n=1)
    text = f'{{"label": "x", "confidence": {large}}}'
    if n_digits < 4_300:  # more, and Python reads no integer
        assert prompts.read_label(text) == prompts.Named("x", "", None)


def test_half_a_character_is_replaced_in_labels_and_texts():
    named = prompts.read_label(r'{"label": "a \ud83d b", "why": "c \udc00"}')
    assert named == prompts.Named("a ? b", "c ?", None)
    assert prompts.read_label(r'{"label": "\ud83d\ude00"}').label == "😀"
    (message,) = prompts.ask_for_confidences(named.label, ["x \ud83d y", "ü"])
    assert "\n[1] x ? y\n[2] ü\n" in message["content"]
    message["content"].encode()  # as the client sends it


def test_texts_are_shown_on_one_line_each_with_their_strength_and_cut_where_long():
    shown = prompts.Shown(
        strongest=[(10.0, "first\nline {x}"), (8.25, "second")],
        weaker=[],
        near=[(0.0, "y" * 3_000)],
        zeros=[(0.0, "off")],
    )
    (message,) = prompts.ask_for_label(shown)
    assert "\n[10.0] first line {x}\n[8.2] second\n\nWeaker" in message["content"]
    assert "from strong to weak:\n(none)\n" in message["content"]
    assert f"\n[0.0] {'y' * 1_998} …\n" in message["content"]
    form = '{"label": "…", "why": "…", "confidence": …}'
    assert message["content"].endswith(form)
    (message,) = prompts.ask_for_confidences("horses", ["a  b", "c"])
    assert "It is on for: horses\n" in message["content"]
    assert "\n[1] a b\n[2] c\n" in message["content"]
    assert '"1": …, "2": …, and so on to "2": …}' in message["content"]
