"""Who owns what: a person's word, the first rule that matches, the project's team, nobody."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.ownership_rules import (
    NO_HAND,
    DecidedBy,
    Hand,
    MeterFacts,
    Rule,
    Subject,
    TeamRef,
    decide,
    group_moves,
    preview,
)

SEARCH, RESEARCH, GONE = TeamRef(1, "Search"), TeamRef(2, "Research"), TeamRef(None, "Legal")
FACTS = MeterFacts(
    name="dep-1",
    kind="deployment",
    endpoint_name="Prod-chat",
    creator="mia",
    project_id="proj_1",
    project_name="search",
)


def make_rule(pk: int = 1, **fields: object) -> Rule:
    defaults: dict[str, object] = {"name": f"rule {pk}", "team": SEARCH}
    return Rule(pk=pk, **(defaults | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("conditions", "matches"),
    [
        ({}, True),
        ({"name_pattern": "prod-*"}, True),
        ({"name_pattern": "PROD-?hat"}, True),
        ({"name_pattern": "dep-1"}, True),
        ({"name_pattern": "dep"}, False),
        ({"name_pattern": "[!p]*"}, True),  # the deployment's own name
        ({"project_id": "proj_1"}, True),
        ({"project_id": "proj_2"}, False),
        ({"creator": "Mia"}, True),
        ({"creator": "mi"}, False),
        ({"kind": "deployment"}, True),
        ({"kind": "cluster"}, False),
        ({"kind": "deployment", "name_pattern": "prod-*", "creator": "ben"}, False),
    ],
)
def test_all_conditions_must_hold(conditions: Mapping[str, str], matches: bool):
    assert make_rule(**conditions).matches(FACTS) is matches


def test_a_name_that_is_not_told_matches_no_pattern():
    assert not make_rule(name_pattern="*").matches(MeterFacts(name="", kind="other"))


@pytest.mark.parametrize(
    ("rules", "hand", "project", "team", "source"),
    [
        ([], NO_HAND, None, None, DecidedBy.NOBODY),
        ([], NO_HAND, SEARCH, 1, DecidedBy.PROJECT),
        ([make_rule(team=RESEARCH)], NO_HAND, SEARCH, 2, DecidedBy.RULE),
        ([make_rule(kind="cluster", team=RESEARCH)], NO_HAND, SEARCH, 1, DecidedBy.PROJECT),
        ([make_rule(1, team=None), make_rule(2, team=RESEARCH)], NO_HAND, SEARCH, 2, DecidedBy.RULE),
        ([make_rule(team=RESEARCH)], Hand(team=SEARCH), None, 1, DecidedBy.MANUAL),
        ([make_rule(team=RESEARCH)], Hand(tags={"env": "prod"}), None, 2, DecidedBy.RULE),
        ([make_rule(team=GONE), make_rule(2, team=RESEARCH)], NO_HAND, SEARCH, None, DecidedBy.NOBODY),
        ([make_rule(team=RESEARCH)], Hand(team=GONE), SEARCH, None, DecidedBy.MANUAL),
    ],
    ids=[
        "nothing speaks",
        "project",
        "rule before project",
        "rule that does not match",
        "rule without team",
        "hand before rule",
        "tags by hand leave it to the rules",
        "rule of a deleted team",
        "given to a deleted team",
    ],
)
def test_the_first_that_speaks_decides(
    rules: list[Rule], hand: Hand, project: TeamRef | None, team: int | None, source: DecidedBy
):
    decision = decide(FACTS, rules=rules, hand=hand, project_team=project)

    assert (decision.team_id, decision.source) == (team, source)
    assert decision.reason
    assert not decision.reason.endswith(".")


def test_tags_merge_from_all_that_match_and_the_earlier_holds():
    rules = [
        make_rule(1, team=None, tags={"env": "prod", "tier": "1"}),
        make_rule(2, kind="cluster", tags={"never": "seen"}),
        make_rule(3, cost_centre="4711", tags={"tier": "2", "app": "chat"}),
        make_rule(4, team=RESEARCH, tags={"late": "yes"}),
    ]

    decision = decide(FACTS, rules=rules, hand=Hand(tags={"env": "by hand"}))

    assert decision.tags == {"env": "by hand", "tier": "1", "app": "chat", "late": "yes"}
    assert (decision.rule_id, decision.cost_centre) == (3, "4711")


def test_conditions_are_told_in_words():
    rule = make_rule(name_pattern="prod-*", project_id="proj_1", project_name="search", kind="deployment")

    assert (
        rule.describe_conditions(kind_label="Endpoint") == "name like prod-*, project search, kind Endpoint"
    )
    assert make_rule().describe_conditions() == "everything"


# --- Properties ---------------------------------------------------------------------------------------------------

words = st.sampled_from(["", "a", "b"])
tags = st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from(["1", "2"]), max_size=2)
teams = st.sampled_from([SEARCH, RESEARCH, GONE, None])
facts = st.builds(
    MeterFacts,
    name=words,
    kind=words,
    endpoint_name=words,
    creator=words,
    project_id=words,
    project_name=words,
)
hands = st.builds(Hand, team=teams, owner=words, cost_centre=words, tags=tags)


@st.composite
def rule_lists(draw: st.DrawFn) -> list[Rule]:
    patterns = st.sampled_from(["", "*", "a*", "?", "[ab]"])
    return [
        Rule(
            pk=number,
            name=f"rule {number}",
            project_id=draw(words),
            name_pattern=draw(patterns),
            creator=draw(words),
            kind=draw(words),
            team=draw(teams),
            cost_centre=draw(words),
            tags=draw(tags),
        )
        for number in range(draw(st.integers(0, 5)))
    ]


@given(facts, rule_lists(), hands, teams)
def test_a_decision_agrees_with_its_source(
    facts: MeterFacts, rules: list[Rule], hand: Hand, project: TeamRef | None
):
    decision = decide(facts, rules=rules, hand=hand, project_team=project)

    if decision.source is DecidedBy.RULE:
        (rule,) = [one for one in rules if one.pk == decision.rule_id]
        earlier = rules[: rules.index(rule)]
        assert hand.team is None
        assert rule.matches(facts)
        assert not any(one.matches(facts) and one.team is not None for one in earlier)
    if decision.source is DecidedBy.PROJECT:
        assert not any(one.matches(facts) and one.team is not None for one in rules)
    if decision.source is DecidedBy.NOBODY:
        assert decision.team_id is None
    assert (decision.team_id is None) == (decision.team_name == "")
    assert hand.tags.items() <= decision.tags.items()


@given(facts, rule_lists(), hands, teams, st.integers(0, 5))
def test_a_rule_that_does_not_match_changes_nothing(
    facts: MeterFacts, rules: list[Rule], hand: Hand, project: TeamRef | None, place: int
):
    foreign = make_rule(99, kind="no such kind", team=RESEARCH, tags={"x": "foreign"})
    more = [*rules[:place], foreign, *rules[place:]]

    subjects = [Subject(1, facts, hand, project)]

    assert preview(rules, more, subjects) == []


@given(st.lists(facts, max_size=6), rule_lists(), rule_lists(), hands, teams)
def test_the_preview_tells_exactly_what_would_be_decided_otherwise(
    many: list[MeterFacts], before: list[Rule], after: list[Rule], hand: Hand, project: TeamRef | None
):
    subjects = [Subject(number, one, hand, project) for number, one in enumerate(many)]

    told = {one.subject.meter_id: one for one in preview(before, after, subjects)}

    for subject in subjects:
        was = decide(subject.facts, rules=before, hand=hand, project_team=project)
        would = decide(subject.facts, rules=after, hand=hand, project_team=project)
        is_same = (was.team_id, was.cost_centre, was.tags) == (would.team_id, would.cost_centre, would.tags)
        assert (subject.meter_id not in told) == is_same
    moves = group_moves(told.values())
    assert sum(len(move.handovers) for move in moves) == sum(one.changes_team for one in told.values())
    assert all(move.from_team != move.to_team for move in moves)
