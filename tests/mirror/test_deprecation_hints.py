"""What is deprecated, by which spelling, what replaces it, and how that is said."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.mirror.deprecation_hints import (
    Candidate,
    Deprecation,
    find_deprecation,
    list_deprecations,
    make_slug,
    read_size,
    suggest_replacement,
)

TODAY = date(2026, 11, 20)
GONE = Deprecation("mistralai-mixtral-8x7b-v0-1", date(2025, 6, 13), is_dedicated_possible=False)


@pytest.mark.parametrize(
    "spelling",
    ["mistralai-mixtral-8x7b-v0-1", "mistralai/Mixtral-8x7B-v0.1", "MISTRALAI/mixtral-8x7b-V0.1"],
)
def test_a_model_is_found_by_name_and_by_slug(spelling: str):
    assert list_deprecations([GONE], marked=frozenset()).find(spelling) is GONE


@pytest.mark.parametrize("model", ["", "mistralai/Mixtral-8x7B", "Qwen/Qwen3-32B"])
def test_other_models_are_not_deprecated(model: str):
    assert find_deprecation(model, listed={make_slug(GONE.model): GONE}) is None


def test_the_dated_list_says_more_than_the_catalogue_and_wins():
    found = list_deprecations([GONE], marked={"mistralai/Mixtral-8x7B-v0.1", "acme/old"})

    assert found.find("mistralai/Mixtral-8x7B-v0.1") is GONE
    marked = found.find("acme/old")
    assert marked is not None
    assert (marked.removal_on, marked.replacement) == (None, "")


@pytest.mark.parametrize(
    ("deprecation", "sentence", "left"),
    [
        (
            Deprecation("a/b", date(2026, 12, 1), is_dedicated_possible=True),
            "a/b leaves serverless on 1 Dec 2026, in 11 days; dedicated endpoints may still serve it.",
            11,
        ),
        (
            Deprecation("a/b", date(2026, 11, 21), is_dedicated_possible=False),
            "a/b leaves serverless on 21 Nov 2026, in 1 day; the provider may refuse to start it again.",
            1,
        ),
        (
            Deprecation("a/b", TODAY),
            "a/b left serverless on 20 Nov 2026;"
            " whether dedicated endpoints may go on serving it is not told.",
            0,
        ),
        (Deprecation("a/b"), "a/b is deprecated in the provider's catalogue; no date is told.", None),
    ],
)
def test_one_sentence_says_when_and_what_it_means(deprecation: Deprecation, sentence: str, left: int | None):
    assert deprecation.describe(TODAY) == sentence
    assert deprecation.days_left(TODAY) == left


OFFERED = [
    Candidate("Qwen/Qwen3-32B", "Qwen", "chat"),
    Candidate("Qwen/Qwen3-235B-A22B", "Qwen", "chat", is_recommended=True),
    Candidate("Qwen/Qwen2.5-72B-Instruct", "Qwen", "chat"),
    Candidate("Qwen/Qwen3-Next-72B", "Qwen", "chat", is_recommended=True),
    Candidate("Qwen/Qwen3-Embedding-72B", "Qwen", "embedding"),
    Candidate("Qwen/nameless", "Qwen", "chat"),
    Candidate("meta-llama/Llama-70B", "Meta", "chat"),
]


@pytest.mark.parametrize(
    ("model", "publisher", "kind", "suggested"),
    [
        ("Qwen/Qwen2-72B-Instruct", "Qwen", "chat", "Qwen/Qwen3-Next-72B"),
        ("Qwen/Qwen2-14B", "Qwen", "chat", "Qwen/Qwen3-32B"),
        ("Qwen/Qwen2-7B", "Qwen", "embedding", "Qwen/Qwen3-Embedding-72B"),
        ("Qwen/Qwen-large", "Qwen", "chat", None),
        ("acme/own-7B", "Acme", "chat", None),
    ],
)
def test_a_replacement_is_of_the_same_maker_and_type_and_near_in_size(model, publisher, kind, suggested):
    found = suggest_replacement(model, publisher=publisher, kind=kind, candidates=OFFERED)

    assert (found.name if found else None) == suggested


def test_a_model_never_replaces_itself():
    found = suggest_replacement(
        "qwen-qwen3-32b",
        publisher="Qwen",
        kind="chat",
        candidates=[Candidate("Qwen/Qwen3-32B", "Qwen", "chat")],
    )

    assert found is None


@pytest.mark.parametrize(
    ("model", "billions"),
    [
        ("Qwen/Qwen3-32B", 32.0),
        ("x/Qwen3-0.6B-FP8", 0.6),
        ("x/Mixtral-8x7B", 56.0),
        ("x/gpt-oss-120b", 120.0),
        ("x/bge", None),
    ],
)
def test_the_size_is_read_from_the_name(model: str, billions: float | None):
    assert read_size(model) == billions


@given(st.text())
def test_a_slug_is_its_own_slug(text: str):
    assert make_slug(make_slug(text)) == make_slug(text)
