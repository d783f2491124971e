import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core.errors import BadInputError
from core.runs.downsampling import _bucket_starts, downsample, mean_and_band, smooth
from core.runs.types import MetricHistory

NAN, INF = math.nan, math.inf
NUMBERS = st.floats(-1e9, 1e9)
MIXED = NUMBERS | st.sampled_from([NAN, INF, -INF])


@st.composite
def curves(draw, values=MIXED, max_size=300):
    number = draw(hnp.arrays(np.float64, st.integers(0, max_size), elements=values))
    gaps = draw(hnp.arrays(np.int64, len(number), elements=st.integers(0, 3) | st.just(10_000)))
    return np.cumsum(gaps), number


BOUNDS = st.integers(5, 60)


@given(curves(), BOUNDS)
def test_indexes_are_bounded_unique_increasing_and_keep_both_ends(curve, max_points):
    steps, values = curve
    kept = downsample(steps, values, max_points)
    assert len(kept) <= max_points
    assert kept.dtype == np.int64
    assert np.all(np.diff(kept) > 0)
    if len(values):
        assert kept[0] == 0
        assert kept[-1] == len(values) - 1


@given(curves(), BOUNDS)
def test_highest_and_lowest_finite_values_are_always_kept(curve, max_points):
    steps, values = curve
    finite = values[np.isfinite(values)]
    kept = values[downsample(steps, values, max_points)]
    if len(finite):
        assert finite.max() in kept
        assert finite.min() in kept
    else:
        assert not np.isfinite(kept).any()


@given(curves(), BOUNDS)
def test_every_bucket_keeps_its_extremes_and_a_gap(curve, max_points):
    steps, values = curve
    if len(values) <= max_points:
        return
    kept = set(downsample(steps, values, max_points).tolist())
    buckets = max(1, (max_points - 2) // (2 if np.isfinite(values).all() else 3))
    starts = _bucket_starts(steps.astype(float), buckets)
    assert len(starts) <= buckets
    for start, stop in zip(starts, [*starts[1:], len(values)], strict=True):
        chosen = [values[i] for i in range(start, stop) if i in kept]
        finite = [v for v in values[start:stop] if math.isfinite(v)]
        if finite:
            assert min(finite) in chosen
            assert max(finite) in chosen
        if len(finite) < stop - start:
            assert any(not math.isfinite(v) for v in chosen)


@given(curves(), st.integers(5, 400))
def test_short_curves_are_kept_whole(curve, max_points):
    steps, values = curve
    if len(values) <= max_points:
        assert downsample(steps, values, max_points).tolist() == list(range(len(values)))


def test_the_budget_is_used():
    rng = np.random.default_rng(0)
    kept = downsample(np.arange(100_000), rng.normal(size=100_000), 1000)
    assert 900 <= len(kept) <= 1000


def test_a_sparse_stretch_keeps_its_detail_beside_a_dense_one():
    steps = np.concatenate([np.arange(10_000), np.arange(10_000, 100_000, 1000)])
    kept = downsample(steps, np.sin(steps / 5000), 400)
    assert set(range(10_000, len(steps))) <= set(kept.tolist())


def test_one_far_off_step_does_not_swallow_the_curve():
    steps = np.append(np.arange(10_000), 10**9)
    assert len(downsample(steps, np.sin(steps / 50), 400)) > 150


def test_a_lone_nan_survives():
    values = np.ones(10_000)
    values[4321] = NAN
    assert 4321 in downsample(np.arange(10_000), values, 50)


def test_a_million_points_take_no_loop():
    rng = np.random.default_rng(0)
    steps, values = np.arange(1_000_000), rng.normal(size=1_000_000)
    start = time.perf_counter()
    downsample(steps, values, 2000)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    ("steps", "values", "max_points", "reason"),
    [
        ([1, 2], [1.0, 2.0], 4, "with 4 points"),
        ([1, 2], [1.0], 10, "a step for every value"),
        ([2, 1], [1.0, 2.0], 10, "sort the points"),
    ],
)
def test_what_cannot_be_downsampled_is_refused(steps, values, max_points, reason):
    with pytest.raises(BadInputError, match=reason):
        downsample(np.array(steps), np.array(values), max_points)


def a_history(points, key="loss"):
    """A history from (step, value) pairs."""
    steps = np.array([step for step, _ in points], dtype=np.int64)
    values = np.array([value for _, value in points], dtype=np.float64)
    return MetricHistory("run", key, steps, np.zeros(len(points), dtype="datetime64[ms]"), values)


HISTORIES = st.lists(
    st.lists(st.tuples(st.integers(-5, 40), MIXED), max_size=20).map(
        lambda points: sorted(points, key=lambda p: p[0])
    ),
    min_size=1,
    max_size=5,
)


def naive_band(runs):
    """Point by point, in plain words: the last value up to the step, if the step lies within the run."""
    rows = []
    for step in sorted({step for points in runs for step, _ in points}):
        values = []
        for points in runs:
            if points and points[0][0] <= step <= points[-1][0]:
                last = [value for at, value in points if at <= step][-1]
                if math.isfinite(last):
                    values.append(last)
        if values:
            rows.append((step, math.fsum(values) / len(values), min(values), max(values), len(values)))
        else:
            rows.append((step, NAN, NAN, NAN, 0))
    return rows


@given(HISTORIES)
def test_the_band_equals_a_naive_loop(runs):
    band = mean_and_band([a_history(points) for points in runs], max_points=1000)
    expected = naive_band(runs)
    assert band.steps.tolist() == [row[0] for row in expected]
    np.testing.assert_allclose(band.mean, [row[1] for row in expected], rtol=1e-9, atol=1e-6)
    np.testing.assert_array_equal(band.low, [row[2] for row in expected])
    np.testing.assert_array_equal(band.high, [row[3] for row in expected])
    assert band.n.tolist() == [row[4] for row in expected]


@given(HISTORIES)
def test_the_mean_lies_within_the_band(runs):
    band = mean_and_band([a_history(points) for points in runs], max_points=1000)
    some = band.n > 0
    assert np.all(band.low[some] <= band.mean[some])
    assert np.all(band.mean[some] <= band.high[some])


def test_seeds_that_log_at_other_steps_are_aligned_by_carrying_the_last_value():
    band = mean_and_band([a_history([(0, 1.0), (10, 3.0)]), a_history([(5, 5.0), (15, 7.0)])], 100)
    assert band.steps.tolist() == [0, 5, 10, 15]
    assert band.mean.tolist() == [1.0, 3.0, 4.0, 7.0]
    assert band.n.tolist() == [1, 2, 2, 1]


def test_a_run_that_stops_early_is_not_continued():
    band = mean_and_band([a_history([(0, 1.0), (1, 1.0)]), a_history([(0, 3.0), (1, 3.0), (2, 3.0)])], 100)
    assert band.mean.tolist() == [2.0, 2.0, 3.0]


def test_nan_hides_the_earlier_value():
    band = mean_and_band([a_history([(0, 1.0), (1, NAN), (2, 1.0)]), a_history([(0, 3.0), (2, 3.0)])], 100)
    assert band.mean.tolist() == [2.0, 3.0, 2.0]


def test_huge_values_do_not_overflow_the_mean():
    assert mean_and_band([a_history([(0, 1.5e308)])] * 3, 100).mean.tolist() == [1.5e308]


def test_a_long_band_is_downsampled_and_keeps_the_extremes_of_each_curve():
    rng = np.random.default_rng(0)
    runs = [a_history(list(enumerate(rng.normal(size=5000)))) for _ in range(4)]
    whole, short = mean_and_band(runs, 100_000), mean_and_band(runs, 300)
    assert len(whole) == 5000
    assert 100 < len(short) <= 300
    for name in ("mean", "low", "high"):
        curve, kept = getattr(whole, name), getattr(short, name)
        assert (curve.max(), curve.min()) == (kept.max(), kept.min())


def test_a_peak_of_the_mean_inside_a_flat_band_is_kept():
    middle = np.zeros(5000)
    middle[2345] = 0.5
    runs = [a_history(list(enumerate(curve))) for curve in (np.full(5000, -1.0), middle, np.full(5000, 1.0))]
    assert 2345 in mean_and_band(runs, 100).steps


def test_the_mean_of_equal_values_is_exactly_that_value():
    values = np.linspace(0.01, 1, 100)
    band = mean_and_band([a_history(list(enumerate(values)))] * 7, 1000)
    assert band.mean.tolist() == values.tolist()


def test_no_points_make_an_empty_band():
    assert len(mean_and_band([a_history([])], 100)) == 0


@pytest.mark.parametrize(
    ("histories", "max_points", "reason"),
    [
        ([], 100, "not of 0: none given"),
        ([a_history([]), a_history([], key="accuracy")], 100, "not of 2: accuracy, loss"),
        ([a_history([])], 14, "with 14 points"),
    ],
)
def test_what_makes_no_band_is_refused(histories, max_points, reason):
    with pytest.raises(BadInputError, match=reason):
        mean_and_band(histories, max_points)


def naive_smooth(values, weight):
    """TensorBoard's loop: a running average that starts at zero, divided by the weight it has gathered."""
    last, seen, result = 0.0, 0, []
    for value in values:
        if not math.isfinite(value):
            result.append(value)
            continue
        seen += 1
        last = last * weight + (1 - weight) * value
        result.append(last / (1 - weight**seen))
    return result


@given(st.lists(MIXED, max_size=60), st.floats(0, 0.999))
def test_smoothing_equals_tensorboards_loop(values, weight):
    scale = max((abs(value) for value in values if math.isfinite(value)), default=0)
    np.testing.assert_allclose(
        smooth(np.array(values), weight), naive_smooth(values, weight), rtol=0, atol=1e-9 * scale
    )


def test_smoothing_by_hand():
    # (1*0.5 + 4) / 1.5 and (1*0.25 + 4*0.5 + 8) / 1.75
    np.testing.assert_allclose(smooth(np.array([1.0, 4.0, 8.0]), 0.5), [1.0, 3.0, 10.25 / 1.75])


def test_nan_stays_and_does_not_poison_the_rest():
    smoothed = smooth(np.array([1.0, NAN, INF, 4.0, 8.0]), 0.5)
    np.testing.assert_allclose(smoothed, [1.0, NAN, INF, 3.0, 10.25 / 1.75])


@given(NUMBERS, st.integers(1, 50), st.floats(0, 0.999))
def test_a_constant_stays_exactly_what_it_is(value, count, weight):
    assert smooth(np.full(count, value), weight).tolist() == [value] * count


@given(st.lists(MIXED, max_size=20))
def test_weight_zero_changes_nothing(values):
    np.testing.assert_array_equal(smooth(np.array(values), 0), np.array(values))


def test_smoothing_leaves_its_input_alone():
    values = np.array([1.0, 4.0])
    smooth(values, 0.5)
    assert values.tolist() == [1.0, 4.0]


@pytest.mark.parametrize("weight", [-0.1, 1, 1.5, NAN])
def test_an_impossible_weight_is_refused(weight):
    with pytest.raises(BadInputError, match="between 0 and 1"):
        smooth(np.array([1.0]), weight)
