"""Curves of a fine-tune: whatever rows the provider logs, points stand in order of their steps and none is made up."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.web.resources.curves import MOST_POINTS, Point, build_curves, read_points, thin


def test_training_and_evaluation_of_one_step_are_one_point():
    rows = [{"train/global_step": 2.0, "train/loss": 1.5}, {"train/global_step": 2.0, "eval/loss": 1.6}]

    assert read_points(rows) == (Point(2, train_loss=1.5, eval_loss=1.6),)


def test_steps_are_put_in_order_and_gaps_stay_gaps():
    rows = [{"step": 3, "loss": 1.0}, {"step": 1, "loss": None}, {"step": 2, "learning_rate": 1e-5}]

    assert read_points(rows) == (Point(1), Point(2, learning_rate=1e-5), Point(3, train_loss=1.0))


def test_rows_without_a_step_are_counted():
    assert [point.step for point in read_points([{"loss": 2.0}, {"loss": 1.0}])] == [1, 2]


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        {"metrics": None},
        {"metrics": []},
        {"metrics": ["x", 7, None]},
        {"metrics": [{"accuracy": 1.0}]},
        [],
    ],
)
def test_where_no_loss_was_logged_nothing_is_drawn(document: object):
    assert build_curves(document) is None


def test_what_is_no_number_is_left_out():
    assert read_points([{"step": 1, "loss": "low"}, {"step": 2, "loss": True}]) == (Point(1), Point(2))


def test_the_best_evaluation_and_the_last_values_are_named():
    curves = build_curves(
        {"metrics": [
            {"step": 1, "loss": 3.0, "eval_loss": 2.0}, {"step": 2, "loss": 2.0, "eval_loss": 1.5, "lr": 1e-5},
            {"step": 3, "loss": 1.0, "eval_loss": 1.8},
        ]}
    )  # fmt: skip

    assert curves is not None
    assert curves.best_eval == Point(2, train_loss=2.0, eval_loss=1.5, learning_rate=1e-5)
    assert curves.last == Point(3, train_loss=1.0, eval_loss=1.8, learning_rate=1e-5)
    assert curves.loss is not None
    assert [one.label for one in curves.loss.series] == ["Training loss", "Evaluation loss"]


def test_a_run_without_evaluations_draws_one_line_and_no_rate():
    curves = build_curves({"metrics": [{"step": 1, "loss": 3.0}]})

    assert curves is not None
    assert curves.best_eval is None
    assert curves.learning_rate is None
    assert len(curves.loss.series) == 1  # type: ignore[union-attr]


def test_long_runs_are_thinned_evenly_and_evaluations_stay():
    points = [
        Point(step, train_loss=1.0, eval_loss=1.0 if step in (17, 4711) else None) for step in range(1, 5001)
    ]

    kept = thin(points)

    assert len(kept) <= MOST_POINTS + 2
    assert (kept[0].step, kept[-1].step) == (1, 5000)
    assert {17, 4711} <= {point.step for point in kept}


values: Any = (
    st.none()
    | st.booleans()
    | st.text(max_size=3)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
)


@given(
    rows=st.lists(
        st.dictionaries(st.sampled_from(["step", "loss", "eval_loss", "lr", "other"]), values, max_size=5)
        | st.integers(),
        max_size=40,
    )
)
def test_any_rows_give_points_in_strict_order(rows: list[Any]):
    steps = [point.step for point in read_points(rows)]

    assert steps == sorted(set(steps))
