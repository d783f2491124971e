import math
import sys

import pytest

from core.errors import BadInputError
from core.runs.comparison.compare import Comparison, MetricRow, ValueRow, compare
from core.runs.types import DatasetInput, Run
from core.tracking.creation import OUTBOX_TAG

NAN, INF = math.nan, math.inf


def a_run(run_id, *, params=None, metrics=None, tags=None, datasets=()) -> Run:
    return Run(
        run_id=run_id,
        experiment_id="1",
        name=run_id,
        status="FINISHED",
        start_time=None,
        end_time=None,
        user="ana",
        lifecycle_stage="active",
        artifact_uri="",
        parent_run_id=None,
        params=params or {},
        metrics=metrics or {},
        tags=tags or {},
        datasets=datasets,
    )


def metric(name, *values, **options) -> MetricRow:
    """The row of one metric over runs with these values; None is a run that lacks it."""
    runs = [
        a_run(f"r{i}", metrics={"other": 1.0} if value is None else {name: value})
        for i, value in enumerate(values)
    ]
    (row,) = (row for row in compare(runs, **options).metrics if row.key == name)
    return row


def test_three_runs_side_by_side():
    comparison = compare(
        [
            a_run("ppo_a", params={"lr": "0.1", "gamma": "0.9"}, metrics={"sharpe": 1.0, "rmse": 4.0}),
            a_run("ppo_b", params={"lr": "0.2", "gamma": "0.9"}, metrics={"sharpe": 1.5, "rmse": 5.0}),
            a_run("dqn", params={"lr": "0.1", "buffer": "1000", "gamma": "0.9"}, metrics={"sharpe": 0.5}),
        ]
    )
    assert [run.run_id for run in comparison.runs] == ["ppo_a", "ppo_b", "dqn"]
    assert comparison.params == (
        ValueRow("buffer", (None, None, "1000"), differs=True),
        ValueRow("gamma", ("0.9", "0.9", "0.9"), differs=False),
        ValueRow("lr", ("0.1", "0.2", "0.1"), differs=True),
    )
    assert comparison.metrics == (
        MetricRow(
            "rmse",
            values=(4.0, 5.0, None),
            best=(0,),
            deltas=(0.0, 1.0, None),
            relative_deltas=(0.0, 0.25, None),
            higher_is_better=False,
            differs=True,
        ),
        MetricRow(
            "sharpe",
            values=(1.0, 1.5, 0.5),
            best=(1,),
            deltas=(0.0, 0.5, -0.5),
            relative_deltas=(0.0, 0.5, -0.5),
            higher_is_better=True,
            differs=True,
        ),
    )


def test_deltas_refer_to_the_chosen_baseline():
    assert metric("rmse", 4.0, 5.0, baseline="r1").deltas == (-1.0, 0.0)
    assert metric("rmse", 4.0, 5.0, baseline="r1").relative_deltas == (-0.2, 0.0)


def test_a_rise_from_a_negative_baseline_is_a_relative_rise():
    row = metric("return", -2.0, -1.0)
    assert (row.deltas[1], row.relative_deltas[1]) == (1.0, 0.5)


def test_no_relative_delta_to_zero():
    row = metric("return", 0.0, 1.0)
    assert (row.deltas, row.relative_deltas) == ((0.0, 1.0), (None, None))


@pytest.mark.parametrize("baseline", [None, NAN, INF, -INF, sys.float_info.max])
def test_no_delta_to_a_baseline_without_a_finite_value(baseline):
    row = metric("rmse", baseline, 1.0, 2.0)
    assert row.deltas == row.relative_deltas == (None, None, None)


def test_deltas_too_large_for_a_number_are_missing():
    assert metric("return", -1.7e308, 1.7e308).deltas[1] is None
    row = metric("return", 5e-324, 1.0)
    assert (row.deltas[1], row.relative_deltas[1]) == (1.0, None)


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ((1.0, 2.0, 0.5), (1,)),
        ((2.0, 1.0, 2.0), (0, 2)),
        ((1.0, None, 2.0), (2,)),
        ((NAN, 1.0, 2.0), (2,)),
        ((INF, 1.0, 2.0), (2,)),
        ((sys.float_info.max, 1.0, 2.0), (2,)),
        ((-1.0, -2.0, -INF), (0,)),
    ],
)
def test_best_is_the_highest_finite_value(values, best):
    assert metric("accuracy", *values).best == best


def test_best_is_the_lowest_finite_value_of_a_loss():
    assert metric("val_loss", 0.5, -INF, NAN, 0.2, 0.2).best == (3, 4)


@pytest.mark.parametrize("values", [(1.0, 1.0), (1.0, None), (NAN, 1.0), (NAN, INF), (None, NAN)])
def test_nobody_is_best_where_there_is_nothing_to_tell_apart(values):
    assert metric("accuracy", *values).best == ()


def test_nobody_is_best_in_a_metric_of_unknown_direction():
    row = metric("trades", 10.0, 20.0)
    assert (row.higher_is_better, row.best, row.deltas) == (None, (), (0.0, 10.0))


def test_the_experiment_has_the_last_word_on_directions():
    assert metric("trades", 10.0, 20.0, higher_is_better={"trades": False}).best == (0,)
    assert metric("rmse", 10.0, 20.0, higher_is_better={"rmse": True}).best == (1,)


def test_drawdowns_keep_their_sign_whichever_convention_they_follow():
    negative = metric("max_drawdown", -0.2, -0.1)
    assert (negative.values, negative.best, negative.deltas[1]) == ((-0.2, -0.1), (1,), 0.1)
    positive = metric("max_drawdown", 0.2, 0.1)
    assert (positive.values, positive.best, positive.deltas[1]) == ((0.2, 0.1), (1,), -0.1)


@pytest.mark.parametrize(
    ("values", "differs"),
    [
        ((1.0, 1.0), False),
        ((1.0, 2.0), True),
        ((1.0, None), True),
        ((NAN, float("nan")), False),
        ((NAN, 1.0), True),
    ],
)
def test_which_metrics_differ(values, differs):
    assert metric("accuracy", *values).differs is differs


def test_a_metric_logged_as_nan_stays_nan_and_a_missing_one_none():
    row = metric("loss", NAN, None, 1.0)
    assert math.isnan(row.values[0])
    assert row.values[1:] == (None, 1.0)


def test_tags_of_a_person_and_of_mlflow_are_kept_apart():
    comparison = compare(
        [
            a_run(
                "a", tags={"mlflow.runName": "a", "mlflow.user": "ana", "quality": "good", OUTBOX_TAG: "1"}
            ),
            a_run(
                "b", tags={"mlflow.runName": "b", "mlflow.user": "luis", "quality": "good", OUTBOX_TAG: "2"}
            ),
        ]
    )
    assert comparison.tags == (
        ValueRow("mlflow.user", ("ana", "luis"), differs=True),
        ValueRow("quality", ("good", "good"), differs=False),
    )
    assert comparison.bookkeeping == (
        ValueRow(OUTBOX_TAG, ("1", "2"), differs=True),
        ValueRow("mlflow.runName", ("a", "b"), differs=True),
    )


def test_datasets_are_compared_by_name_and_context():
    prices, newer, holdout = (
        DatasetInput("prices", "d1", context="training"),
        DatasetInput("prices", "d2", context="training"),
        DatasetInput("prices", "d9", context="eval"),
    )
    comparison = compare(
        [a_run("a", datasets=(prices, holdout)), a_run("b", datasets=(newer, holdout)), a_run("c")]
    )
    rows = {(row.name, row.context): (row.digests, row.differs) for row in comparison.datasets}
    assert rows == {
        ("prices", "eval"): ((("d9",), ("d9",), ()), True),
        ("prices", "training"): ((("d1",), ("d2",), ()), True),
    }
    assert not compare([a_run("a", datasets=(prices,)), a_run("b", datasets=(prices,))]).datasets[0].differs


def test_issues_of_comparability_come_along():
    runs = [a_run("a", params={"dataset_hash": "1"}), a_run("b", params={"dataset_hash": "2"})]
    assert [issue.kind for issue in compare(runs).comparability] == ["dataset"]


def test_a_run_given_twice_counts_once():
    comparison = compare([a_run("b"), a_run("a"), a_run("b")])
    assert [run.run_id for run in comparison.runs] == ["b", "a"]


@pytest.mark.parametrize("count", [0, 1, 201])
def test_too_few_or_too_many_runs_are_refused(count):
    with pytest.raises(BadInputError, match=f"2 to 200 different runs, not {count}"):
        compare([a_run(str(i)) for i in range(count)])


def test_one_run_twice_is_one_run():
    with pytest.raises(BadInputError, match="not 1"):
        compare([a_run("a"), a_run("a")])


def test_two_hundred_runs_are_fine():
    comparison = compare([a_run(str(i), metrics={"loss": float(i)}) for i in range(200)])
    assert isinstance(comparison, Comparison)
    assert len(comparison.metrics[0].values) == 200


def test_a_baseline_from_elsewhere_is_refused():
    with pytest.raises(BadInputError, match="baseline z is not among"):
        compare([a_run("a"), a_run("b")], baseline="z")
