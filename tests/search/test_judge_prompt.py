"""What a model is shown of steered hits, and what is read from its answer."""

import pytest

from sae_jax.analysis.prompts import Unparsable
from sae_jax.search.judge_prompt import MOST_CHARACTERS, Named, ask_for_topics, read_topics

OPTIONS = ["horse", "debt", "3 rivers", "stone", "stone"]


def read(text):
    return read_topics(text, options=OPTIONS)


def test_both_lists_and_all_topics_are_shown_in_order():
    (message,) = ask_for_topics(["a\nmare", "loan"], ["river", "x" * 700], options=OPTIONS)
    prompt = message["content"]
    assert "List A, before:\n- a mare\n- loan\n\nList B, after:\n- river\n- xxx" in prompt
    assert "1: horse\n2: debt\n3: 3 rivers\n4: stone\n5: stone\n" in prompt
    assert f"- {'x' * (MOST_CHARACTERS - 2)} …\n" in prompt
    assert '{"raised": …, "lowered": …}' in prompt
    assert "these 5 topics" in prompt


@pytest.mark.parametrize(
    "text",
    [
        '{"raised": 3, "lowered": 1}',
        'I think {it} rose.\n```json\n{"lowered": "1", "raised": "3"}\n```',
        '{"raised": 1, "lowered": 2} no: {"raised": 3, "lowered": 1, "sure": true}',
        '{"raised": "3: 3 rivers", "lowered": "1. horse"}',
        '{"raised": "3 Rivers", "lowered": " horse "}',
        '{"raised": 3.0, "lowered": 1}',
    ],
)
def test_an_answer_is_read_whatever_stands_around_it(text):
    assert read(text) == Named(raised=2, lowered=0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("the horse", "no JSON object with raised and lowered"),
        ('{"raised": 1}', "no JSON object with raised and lowered"),
        ('{"raised": 2, "lowered": 2}', "one topic as both raised and lowered"),
        ('{"raised": 0, "lowered": 2}', "0 is none of the topics 1 to 5"),
        ('{"raised": 6, "lowered": 2}', "6 is none of the topics 1 to 5"),
        ('{"raised": 2.5, "lowered": 1}', "2.5 is none of the topics"),
        ('{"raised": true, "lowered": 1}', "true is none of the topics"),
        ('{"raised": [1], "lowered": 2}', "is none of the topics"),
        ('{"raised": null, "lowered": 2}', "null is none of the topics"),
        ('{"raised": "stone", "lowered": 1}', "stone. is none of the topics"),  # which of two?
        ('{"raised": "a horse", "lowered": 2}', "a horse. is none of the topics"),
    ],
)
def test_what_is_no_choice_of_two_topics_is_unparsable(text, said):
    with pytest.raises(Unparsable, match=said):
        read(text)


def test_a_name_that_begins_with_a_number_is_that_topic():
    assert read('{"raised": "3 rivers", "lowered": 2}') == Named(2, 1)
    found = read_topics('{"raised": "1 horse", "lowered": 1}', options=["debt", "1 horse"])
    assert found == Named(1, 0)
