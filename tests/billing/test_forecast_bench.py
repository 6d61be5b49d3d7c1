"""The short form of bench/forecast: every shape, seeds that neither tuning nor the report uses."""

from statistics import fmean

import pytest

from bench.forecast import DAYS, MOST_RATIO, REPORTED_SEEDS, TUNING_SEEDS, Outcome, play
from bench.organisations import SHAPES, make_organisation

SEEDS = range(2000, 2004)


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    assert not {*SEEDS} & {*REPORTED_SEEDS, *TUNING_SEEDS}
    return list(play(SEEDS))


@pytest.mark.parametrize("day", DAYS)
def test_it_beats_both_simple_rules(outcomes: list[Outcome], day: int) -> None:
    those = [one for one in outcomes if one.day == day]

    assert len(those) == len(SHAPES) * len(SEEDS)
    ours = fmean(one.error(one.p50) for one in those)
    assert ours <= MOST_RATIO * fmean(one.error(one.by_burn) for one in those)
    assert ours <= MOST_RATIO * fmean(one.error(one.by_average) for one in those)


@pytest.mark.parametrize("day", DAYS)
def test_four_of_five_months_end_in_the_range(outcomes: list[Outcome], day: int) -> None:
    covered = fmean(one.is_covered for one in outcomes if one.day == day)

    # 48 months: two standard deviations around 80 %.
    assert 0.68 <= covered <= 0.92


def test_the_range_narrows_as_the_month_passes(outcomes: list[Outcome]) -> None:
    widths = [fmean((one.p90 - one.p10) / one.truth for one in outcomes if one.day == day) for day in DAYS]

    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_organisation_costs_what_its_runs_and_jobs_cost(shape: str) -> None:
    one = make_organisation(shape, seed=7)
    costs, lumps = one.hourly()

    again, _ = make_organisation(shape, seed=7).hourly()
    assert again == costs
    assert all(cost >= lump >= 0 for cost, lump in zip(costs, lumps, strict=True))
    runs = sum(
        run.rate * (min(run.end, one.hours) - max(run.start, 0)) for run in one.runs if run.end > run.start
    )
    jobs = sum(job.nano_usd for job in one.jobs if job.end < one.hours)
    assert sum(costs) == pytest.approx(runs + jobs, rel=1e-6)
