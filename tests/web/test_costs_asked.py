"""The vocabulary of addresses under Costs: nonsense counts as absent, and an address leads back to its question."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from billing.costs import GroupBy
from dashboard.core.periods import Bucket, Period, PeriodName
from dashboard.web.costs.asked import FILTERS, Question, parameter_of, read_question

NOW = datetime(2026, 11, 18, 13, 49, tzinfo=UTC)


def ask(text: str, *, zone_default: str = "UTC", now: datetime = NOW) -> Question:
    return read_question(QueryDict(text), user=None, now=now, zone_default=zone_default)


def test_without_words_it_is_the_month_to_date_by_team_in_days_of_the_organisation() -> None:
    question = ask("", zone_default="Europe/Paris")

    assert question.query.period == Period(datetime(2026, 10, 31, 23, tzinfo=UTC), NOW)
    assert question.query.group_by is GroupBy.TEAM
    assert question.query.bucket is Bucket.DAY
    assert question.query.zone == ZoneInfo("Europe/Paris")
    assert question.url_query() == ""


@pytest.mark.parametrize(
    "text",
    [
        "period=fortnight",
        "period=custom",
        "period=custom&from=2026-11-09&to=2026-11-01",
        "period=custom&from=x&to=2026-11-01",
        "period=custom&from=0001-01-01&to=9999-12-31",
        "group=colour",
        "group=tag",
        "zone=Mars/Olympus",
        "zone=../etc/passwd",
        "by=second",
        "team=",
        "unheard=of",
        "team=%00",
        f"team={'9' * 5000}",
        "tags=k%3D%00&owner=a%00b",
        "group=tag&tag=%00",
    ],
)
def test_nonsense_counts_as_absent(text: str) -> None:
    assert ask(text).query == ask("").query


@pytest.mark.parametrize(
    ("text", "bucket"),
    [
        ("period=today", Bucket.HOUR),
        ("period=7d", Bucket.DAY),
        ("period=quarter", Bucket.DAY),
        ("period=custom&from=2026-01-01&to=2026-05-31", Bucket.WEEK),
        ("period=custom&from=2025-01-01&to=2026-05-31", Bucket.MONTH),
        ("period=7d&by=hour", Bucket.HOUR),
        ("period=custom&from=2025-01-01&to=2026-05-31&by=hour", Bucket.MONTH),
    ],
)
def test_bars_are_as_wide_as_the_period_wants_unless_somebody_says(text: str, bucket: Bucket) -> None:
    assert ask(text).query.bucket is bucket


def test_days_of_a_custom_period_are_both_included_and_those_of_the_zone() -> None:
    question = ask("period=custom&from=2026-10-24&to=2026-10-25&zone=Europe/Paris")

    assert question.query.period == Period(
        datetime(2026, 10, 23, 22, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC)
    )
    assert (question.shown_first_day, question.shown_last_day) == (date(2026, 10, 24), date(2026, 10, 25))


def test_a_filter_for_what_nobody_owns_is_written_as_a_dash() -> None:
    question = ask("team=-&team=7&tags=env%3Dprod")

    assert question.query.filters.teams == {"", "7"}
    assert question.query.filters.tags == {"env=prod"}
    assert question.url_query() == "team=-&team=7&tags=env%3Dprod"


def test_another_period_forgets_days_and_bars_that_fitted_the_one_before() -> None:
    question = ask("period=custom&from=2026-01-01&to=2026-01-02&by=hour&team=7")

    assert question.url_query(period="") == "team=7"
    assert "by=hour" in question.url_query(team=[])


@pytest.mark.parametrize("group", [one for one in GroupBy if one is not GroupBy.NONE])
def test_every_grouping_has_a_filter_for_its_rows(group: GroupBy) -> None:
    assert parameter_of(group) in FILTERS


keys = st.sets(
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=0, max_size=8), max_size=3
)


@given(
    name=st.sampled_from([one for one in PeriodName if one is not PeriodName.CUSTOM]),
    group=st.sampled_from([one for one in GroupBy if one is not GroupBy.TAG]),
    zone=st.sampled_from(["UTC", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns"]),
    filters=st.dictionaries(st.sampled_from(sorted(FILTERS)), keys),
    ago=st.timedeltas(timedelta(0), timedelta(days=2000)),
)
def test_an_address_leads_back_to_its_question(
    name: PeriodName, group: GroupBy, zone: str, filters: dict[str, set[str]], ago: timedelta
) -> None:
    given_query = QueryDict(mutable=True)
    given_query.update({"period": name.value, "group": group.value, "zone": zone})
    for parameter, values in filters.items():
        given_query.setlist(parameter, sorted(values - {""}) or ["-"])
    question = ask(given_query.urlencode(), now=NOW - ago)

    again = ask(question.url_query(), now=NOW - ago)

    assert again == question
