"""One store is fitted, measured and calibrated; whatever goes wrong is its own failure; its model travels alone."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from mlflow import MlflowClient

from core.training.stores import fitting, models
from core.training.stores.features import LEVEL, build_design, season_values
from core.training.stores.fitting import (
    Recipe,
    StoreResult,
    StoreTask,
    calibrated_width,
    conformal_quantile,
    fit_store,
)
from core.training.stores.model_files import RUN_ID, model_folder
from core.training.stores.models import ModelKind
from core.training.stores.one_model import OneModel
from core.training.stores.predictor import StoreModel
from core.training.stores.sales import read_sales
from core.training.stores.store_runs import PipelineRun, StoreRecord
from tests.core.training.stores import kit

Days = np.ndarray[tuple[int], np.dtype[np.datetime64]]
Floats = np.ndarray[tuple[int], np.dtype[np.float64]]
Change = Callable[[StoreTask, Recipe], tuple[StoreTask, Recipe]]


@pytest.fixture
def task(tmp_path: Path) -> tuple[StoreTask, Recipe]:
    return kit.task_of(kit.usual(1, 200), tmp_path)


def with_sales(task: StoreTask, rows: slice | int, value: float) -> StoreTask:
    sales = task.sales.copy()
    sales[rows] = value
    return replace(task, sales=sales)


def only(task: StoreTask, rows: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> StoreTask:
    return StoreTask(task.store, task.days[rows], task.sales[rows], task.inputs[rows])


def without_level(task: StoreTask, recipe: Recipe) -> StoreTask:
    inputs = task.inputs.copy()
    inputs[task.days > recipe.cutoff, recipe.features.index(LEVEL)] = np.nan
    return replace(task, inputs=inputs)


FAILURES: dict[str, tuple[Change, str]] = {
    "too few rows": (
        lambda task, recipe: (task, replace(recipe, min_samples=500)),
        r"too few rows: 1\d\d before 2025-09-14 have a past of 14 periods, 500 are needed",
    ),
    "no past at all": (
        lambda task, recipe: (only(task, task.days > recipe.cutoff - np.timedelta64(5, "D")), recipe),
        "too few rows: 5 before 2025-09-14",
    ),
    "constant": (
        lambda task, recipe: (with_sales(task, slice(None), 12.5), recipe),
        r"constant: all 1\d\d training values are 12\.5",
    ),
    "not a number": (
        lambda task, recipe: (with_sales(task, 100, math.nan), recipe),
        "its sales are not all finite numbers",
    ),
    "infinite": (
        lambda task, recipe: (with_sales(task, 100, math.inf), recipe),
        "its sales are not all finite numbers",
    ),
    "nothing after the split": (
        lambda task, recipe: (only(task, task.days <= recipe.cutoff), recipe),
        "no sales after 2025-09-14: nothing to test on",
    ),
}


@pytest.mark.parametrize("kind", kit.OF_A_STORE)
@pytest.mark.parametrize("case", FAILURES)
def test_what_cannot_be_trained_on_fails_with_its_reason(
    task: tuple[StoreTask, Recipe], case: str, kind: ModelKind
) -> None:
    change, reason = FAILURES[case]
    result = fit_store(*change(task[0], replace(task[1], kind=kind)))
    assert result.failure is not None and pd.Series([result.failure]).str.match(reason).all(), result.failure
    assert result.store == "S001" and result.train is None and result.test is None and not result.files


@pytest.mark.parametrize("case", [one for one in FAILURES if one != "too few rows"])
def test_the_one_model_leaves_out_what_cannot_be_trained_on(
    task: tuple[StoreTask, Recipe], case: str
) -> None:
    good, recipe = task[0], replace(task[1], kind=ModelKind.GLOBAL)
    change, reason = FAILURES[case]
    bad, _ = change(replace(good, store="bad"), recipe)
    every = OneModel([bad, good], recipe, 1)
    found = {one.store: one for one in every.results()}
    failure = found["bad"].failure
    assert failure is not None and pd.Series([failure]).str.match(reason).all(), failure
    alone = {one.store: one for one in OneModel([good], recipe, 1).results()}
    assert found["S001"].failure is None
    np.testing.assert_array_equal(found["S001"].predicted, alone["S001"].predicted)


def test_without_any_store_there_is_no_model(task: tuple[StoreTask, Recipe]) -> None:
    recipe = replace(task[1], kind=ModelKind.GLOBAL, min_samples=10_000)
    every = OneModel([task[0]], recipe, 1)
    (result,) = every.results()
    assert result.failure is not None and every.files == {} and every.importance == ()


def test_as_many_rows_as_asked_for_are_enough(task: tuple[StoreTask, Recipe]) -> None:
    series, recipe = task
    level = series.inputs[:, recipe.features.index(LEVEL)]
    rows = int(((series.days <= recipe.cutoff) & np.isfinite(level)).sum())
    assert fit_store(series, replace(recipe, min_samples=rows)).failure is None
    assert fit_store(series, replace(recipe, min_samples=rows + 1)).failure is not None


@pytest.mark.parametrize("kind", [ModelKind.RIDGE, ModelKind.GRADIENT_BOOSTING])
def test_a_test_period_of_which_nothing_can_be_said_fails(
    task: tuple[StoreTask, Recipe], kind: ModelKind
) -> None:
    recipe = replace(task[1], kind=kind)
    result = fit_store(without_level(task[0], recipe), recipe)
    assert result.failure == "nothing can be predicted for its test period"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("no\nsecond line"), "ValueError: no"),
        (MemoryError(), "MemoryError: no reason given"),
        (RuntimeError("x" * 900), "RuntimeError: " + "x" * 486),
    ],
)
def test_an_exception_inside_is_the_failure_of_its_store(
    task: tuple[StoreTask, Recipe], monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(fitting, "learn", broken)
    result = fit_store(*task)
    assert result.failure == said and result.files == {} and len(result.predicted) == 0


@pytest.mark.parametrize("kind", kit.OF_A_STORE)
def test_r2_of_one_test_row_is_missing_not_zero(task: tuple[StoreTask, Recipe], kind: ModelKind) -> None:
    recipe = replace(task[1], kind=kind)
    first = task[0].days[task[0].days > recipe.cutoff][0]
    result = fit_store(only(task[0], task[0].days <= first), recipe)
    assert result.failure is None and result.test is not None
    assert result.test.samples == 1 and result.test.r2 is None
    assert "test_r2" not in result.test.named("test") and "test_mae" in result.test.named("test")


def test_two_test_rows_have_an_r2(task: tuple[StoreTask, Recipe]) -> None:
    second = task[0].days[task[0].days > task[1].cutoff][1]
    result = fit_store(only(task[0], task[0].days <= second), task[1])
    assert result.test is not None and result.test.samples == 2 and result.test.r2 is not None


def plain_season(history: dict[date, float], day: date, origin: date, season: int) -> float:
    """Walk back season by season to a day that was known at the origin."""
    at = day - timedelta(season)
    while at >= min(history):
        if at in history and at <= origin:
            return history[at]
        at -= timedelta(season)
    return math.nan


@pytest.mark.parametrize("season", [7, 364])
def test_the_seasonal_naive_forecast_is_that_of_a_plain_loop(season: int) -> None:
    rng = np.random.default_rng(season)
    step = 1 if season == 7 else 7
    every = np.datetime64("2022-01-07") + step * np.arange(200)
    kept = np.sort(rng.choice(200, 120, replace=False))
    days, sales = every[kept], rng.lognormal(3, 1, 120)
    history = dict(zip(days.astype(object).tolist(), sales.tolist(), strict=True))
    for origin in (every[150], every[kept[60]], every[-1], every[0], np.datetime64("2021-01-01")):
        found = season_values(days, sales, every, origin, np.timedelta64(season, "D"))
        expected = [plain_season(history, day, origin.astype(object), season) for day in every.astype(object)]
        np.testing.assert_array_equal(found, expected)
    assert np.isfinite(expected).sum() == 0
    nothing = season_values(days[:0], sales[:0], every, every[9], np.timedelta64(season, "D"))
    assert np.isnan(nothing).all() and len(nothing) == 200


@pytest.mark.parametrize(("frame", "horizon"), [(kit.usual(1, 150), 14), (kit.weekly(1, 130), 13)])
def test_the_seasonal_naive_store_repeats_the_last_season_it_knows(
    tmp_path: Path, frame: pl.DataFrame, horizon: int
) -> None:
    frame = frame.sample(fraction=0.85, seed=2)
    task, recipe = kit.task_of(frame, tmp_path, ModelKind.SEASONAL_NAIVE, horizon)
    result = fit_store(task, recipe)
    assert result.failure is None and result.n_features == 1
    assert result.importance == (("the season before", 1.0),)
    history = dict(zip(task.days.astype(object).tolist(), task.sales.tolist(), strict=True))
    season = int(recipe.season.astype(int))
    cutoff = recipe.cutoff.astype(object)
    expected = [plain_season(history, day, cutoff, season) for day in history]
    np.testing.assert_allclose(result.predicted, expected, rtol=1e-12)
    assert np.isfinite(expected).sum() > 30


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("n", [1, 2, 9, 27, 28])
def test_the_quantile_of_errors_is_that_of_split_conformal_prediction(n: int, share: float) -> None:
    errors = np.random.default_rng(n).exponential(size=n)
    ordered = sorted(errors.tolist())
    # The smallest width below which lie at least (n + 1) share of the n errors and one more, the new one.
    enough = [width for at, width in enumerate(ordered, 1) if at >= (n + 1) * share]
    found = conformal_quantile(np.append(errors, [np.nan, np.inf]), share)
    assert found == enough[0] if enough else math.isnan(found)


def test_the_width_is_calibrated_on_forecasts_from_two_earlier_origins(
    task: tuple[StoreTask, Recipe],
) -> None:
    series, recipe = task
    asked: list[np.datetime64] = []

    def forecast(origin: np.datetime64) -> Floats:
        asked.append(origin)
        # A forecast that is wrong by its distance from the origin, and says nothing of Mondays.
        far = (series.days - origin).astype(float)
        off = np.where(far > 0, far / 100, 1e6)
        off[series.days.astype("datetime64[D]").astype(int) % 7 == 4] = np.nan
        return np.log1p(series.sales) + off * np.where(far % 2 == 0, 1, -1)

    found = calibrated_width(series, recipe, forecast)
    cutoff = recipe.cutoff.astype(object)
    assert [one.astype(object) for one in asked] == [cutoff - timedelta(14), cutoff - timedelta(28)]
    errors = []
    for origin in (cutoff - timedelta(14), cutoff - timedelta(28)):
        for day in series.days.astype(object):
            distance = (day - origin).days
            if 0 < distance <= 14 and day.weekday() != 0:
                errors.append(distance / 100)
    errors.sort()
    assert found == pytest.approx(errors[math.ceil((len(errors) + 1) * 0.8) - 1], abs=1e-12)


@pytest.mark.parametrize("kind", kit.OF_A_STORE)
def test_the_width_of_a_store_is_that_of_models_refitted_at_those_origins(
    tmp_path: Path, kind: ModelKind
) -> None:
    frame = kit.usual(1, 220)
    task, recipe = kit.task_of(frame, tmp_path, kind)
    result = fit_store(task, recipe)
    errors: list[float] = []
    for window in (1, 2):
        origin = recipe.cutoff - np.timedelta64(14 * window, "D")
        # As if it were then: the same store without its later rows, but for those that are forecast.
        ahead = task.days <= origin + np.timedelta64(14, "D")
        then = fit_store(only(task, ahead), replace(recipe, cutoff=origin))
        off = np.log1p(then.predicted) - np.log1p(then.actual)
        errors += np.abs(off[then.is_test]).tolist()
    errors.sort()
    width = errors[math.ceil((len(errors) + 1) * 0.8) - 1]
    tested = result.is_test
    np.testing.assert_allclose(
        np.log1p(result.upper[tested]), np.log1p(result.predicted[tested]) + width, rtol=1e-9
    )
    np.testing.assert_allclose(
        np.log1p(result.lower[tested]), np.maximum(np.log1p(result.predicted[tested]) - width, 0), rtol=1e-9
    )
    assert np.isnan(result.lower[~tested]).all() and np.isnan(result.upper[~tested]).all()


def test_the_one_model_has_a_width_of_its_own_for_every_store(tmp_path: Path) -> None:
    sales = read_sales(kit.csv(tmp_path / "s.csv", kit.usual(3, 150)))
    design = build_design(sales, 14)
    tasks, recipe = kit.tasks(design), kit.recipe(design, sales, ModelKind.GLOBAL)
    errors: dict[str, list[float]] = {task.store: [] for task in tasks}
    for window in (1, 2):
        origin = recipe.cutoff - np.timedelta64(14 * window, "D")
        end = origin + np.timedelta64(14, "D")
        then = [only(task, task.days <= end) for task in tasks]
        for one in OneModel(then, replace(recipe, cutoff=origin), 1).results():
            off = np.log1p(one.predicted) - np.log1p(one.actual)
            errors[one.store] += np.abs(off[one.is_test]).tolist()
    widths = []
    for one in OneModel(tasks, recipe, 1).results():
        own = sorted(errors[one.store])
        widths.append(own[math.ceil((len(own) + 1) * 0.8) - 1])
        found = np.log1p(one.upper) - np.log1p(one.predicted)
        np.testing.assert_allclose(found[one.is_test], widths[-1], rtol=1e-9)
    assert len(set(widths)) == 3


@pytest.mark.parametrize(
    ("kind", "interval"),
    [
        (ModelKind.RIDGE, 0.8),
        (ModelKind.SEASONAL_NAIVE, 0.5),
        (ModelKind.SEASONAL_NAIVE, 0.8),
        (ModelKind.SEASONAL_NAIVE, 0.95),
    ],
)
def test_intervals_hold_about_the_share_they_promise(
    tmp_path: Path, kind: ModelKind, interval: float
) -> None:
    rng = np.random.default_rng(8)
    first = date(2023, 1, 2)
    frame = pl.DataFrame(
        {
            "store": np.repeat(np.arange(25), 200),
            "date": [first + timedelta(at) for _ in range(25) for at in range(200)],
            "sales": np.exp(
                6 + np.tile(0.2 * np.sin(2 * np.pi * np.arange(200) / 7), 25) + rng.normal(0, 0.15, 5000)
            ),
        }
    )
    sales = read_sales(kit.csv(tmp_path / "s.csv", frame))
    design = build_design(sales, 28)
    recipe = kit.recipe(design, sales, kind, interval=interval)
    inside: list[bool] = []
    for task in kit.tasks(design):
        one = fit_store(task, recipe)
        held = (one.lower <= one.actual) & (one.actual <= one.upper)
        inside += held[one.is_test].tolist()
        assert one.test is not None
        assert one.test.coverage == pytest.approx(100 * held[one.is_test].mean())
    assert len(inside) == 25 * 28
    assert np.mean(inside) == pytest.approx(interval, abs=0.05)


def test_a_store_too_young_for_calibration_has_no_interval(tmp_path: Path) -> None:
    task, recipe = kit.task_of(kit.usual(1, 80), tmp_path, min_samples=40)
    result = fit_store(task, recipe)
    assert result.failure is None and result.test is not None
    assert np.isnan(result.lower).all() and result.test.coverage is None
    assert "test_coverage" not in result.test.named("test")


def said(result: StoreResult) -> tuple[object, ...]:
    """All of a result but its time."""
    return (
        result.store,
        result.failure,
        *(getattr(result, name).tobytes() for name in ("days", "actual", "predicted", "lower", "upper")),
        result.train,
        result.test,
        result.files,
        result.importance,
    )


def test_a_store_comes_out_the_same_every_time_and_in_every_process(tmp_path: Path) -> None:
    sales = read_sales(kit.csv(tmp_path / "s.csv", kit.usual(2, 200)))
    design = build_design(sales, 14)
    work = [(task, kit.recipe(design, sales, kind)) for task in kit.tasks(design) for kind in kit.OF_A_STORE]
    here = [said(fit_store(*one)) for one in work]
    assert [said(fit_store(*one)) for one in reversed(work)] == here[::-1]
    elsewhere = joblib.Parallel(n_jobs=2)(joblib.delayed(fit_store)(*one) for one in work)
    assert [said(one) for one in elsewhere] == here
    assert len({one[4] for one in here}) == len(work)


def test_the_seed_is_used_and_another_one_gives_other_trees(task: tuple[StoreTask, Recipe]) -> None:
    recipe = replace(task[1], kind=ModelKind.GRADIENT_BOOSTING)
    one, other = fit_store(task[0], recipe), fit_store(task[0], replace(recipe, seed=2))
    assert not np.array_equal(one.predicted, other.predicted, equal_nan=True)
    recipe = replace(task[1], kind=ModelKind.GLOBAL)
    (one,), (other,) = (
        OneModel([task[0]], changed, 1).results() for changed in (recipe, replace(recipe, seed=2))
    )
    assert not np.array_equal(one.predicted, other.predicted, equal_nan=True)


def test_the_one_model_does_not_depend_on_its_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.training.stores.one_model._ROWS_A_THREAD", 50)
    sales = read_sales(kit.csv(tmp_path / "s.csv", kit.usual(2, 150)))
    design = build_design(sales, 14)
    recipe = kit.recipe(design, sales, ModelKind.GLOBAL)
    one, two = (list(OneModel(kit.tasks(design), recipe, threads).results()) for threads in (1, 2))
    assert [said(result)[:-2] for result in one] == [said(result)[:-2] for result in two]


def test_importance_is_shares_of_named_features(task: tuple[StoreTask, Recipe]) -> None:
    for kind in (ModelKind.RIDGE, ModelKind.GRADIENT_BOOSTING):
        result = fit_store(task[0], replace(task[1], kind=kind))
        names = [name for name, _ in result.importance]
        shares = [share for _, share in result.importance]
        plain = {name.removesuffix(" by weekday") for name in names}
        assert plain <= set(task[1].features) and len(set(names)) == len(names) > 10
        assert sum(shares) == pytest.approx(1) and shares == sorted(shares, reverse=True)
        assert min(shares) >= 0


def test_ridge_is_scikit_learns_on_the_same_columns(task: tuple[StoreTask, Recipe]) -> None:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    series, recipe = task
    result = fit_store(series, recipe)
    named = pd.DataFrame(series.inputs.astype(np.float64), columns=list(recipe.features))
    flags = ["promo", "holiday"]
    usable = (series.days <= recipe.cutoff) & named["level"].notna().to_numpy()
    wide = named.drop(columns=["weekday", "week", "month", "day_of_year"])
    for number in range(1, 8):
        wide[f"on {number}"] = (named["weekday"] == number).astype(float)
        for flag in flags:
            wide[f"{flag} on {number}"] = wide[f"on {number}"] * named[flag]
    for cycle in range(1, 5):
        angle = 2 * np.pi * cycle * named["day_of_year"] / 365.25
        wide[f"sin {cycle}"], wide[f"cos {cycle}"] = np.sin(angle), np.cos(angle)
    relative = np.log1p(series.sales) - named["level"].to_numpy()
    mean, scale = relative[usable].mean(), relative[usable].std()
    model = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        RidgeCV(alphas=(0.1, 1, 10, 100, 1000)),
    )
    model.fit(wide[usable].to_numpy(), (relative[usable] - mean) / scale)
    tested = result.is_test
    logs = named["level"] + mean + scale * model.predict(wide.to_numpy())
    np.testing.assert_allclose(result.predicted[tested], np.expm1(logs)[tested], rtol=1e-8)


STRANGE = 'mother\'s promo: "x"'
LONELY = """
import json, sys

# Greenroom is not installed here, whatever the environment of the tests says.
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("core", "dashboard"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Nothing())
try:
    import core
except ImportError:
    pass
else:
    sys.exit("core can be imported")
import pandas as pd
import mlflow
mlflow.set_tracking_uri(sys.argv[1])
found = {}
for run_id, name, boosted in json.loads(sys.argv[2]):
    model = mlflow.pyfunc.load_model(f"runs:/{run_id}/model")
    features = pd.read_parquet(name)
    assert model.metadata.run_id == run_id, model.metadata.run_id
    found[name] = [float(value) for value in model.predict(features)]
    if boosted:
        booster = mlflow.lightgbm.load_model(f"runs:/{run_id}/model")
        found[name + " trees"] = booster.num_trees()
print(json.dumps(found))
"""


def inputs_of(task: StoreTask, recipe: Recipe) -> pd.DataFrame:
    """What a person gives a model: named columns of numbers, or dates."""
    if recipe.kind is ModelKind.SEASONAL_NAIVE:
        return pd.DataFrame({"date": task.days.astype("datetime64[us]")})
    frame = pd.DataFrame(task.inputs.astype(np.float64), columns=list(recipe.features))
    return frame.assign(store=task.store) if recipe.kind is ModelKind.GLOBAL else frame


def test_models_predict_the_same_where_greenroom_is_not_installed(
    tmp_path: Path, store: str, client: MlflowClient
) -> None:
    # A name that YAML must not trip over; and a store that has not been open on a Tuesday for four months.
    frame = kit.usual(2, 220).rename({"promo": STRANGE})
    long_ago = pl.col("date") <= pl.lit(frame["date"].max()) - timedelta(120)
    frame = frame.filter((pl.col("store") == "S001") | (pl.col("date").dt.weekday() != 2) | long_ago)
    again = frame.filter(pl.col("store") == "S002").tail(1).with_columns(pl.col("date") - timedelta(4))
    assert [day.weekday() for day in again["date"]] == [1]
    frame = pl.concat([frame, again])
    frame.write_parquet(tmp_path / "s.parquet")
    sales = read_sales(tmp_path / "s.parquet")
    assert STRANGE in sales.columns.known
    design = build_design(sales, 14)
    tasks = kit.tasks(design)
    experiment = client.create_experiment("models", (tmp_path / "artifacts").as_uri())
    parent = client.create_run(experiment).info.run_id
    run = PipelineRun(client, parent, experiment, {})
    expected: dict[str, tuple[StoreResult, bool]] = {}
    asked = []
    for kind in kit.KINDS:
        recipe = kit.recipe(design, sales, kind)
        if kind is ModelKind.GLOBAL:
            every = OneModel(tasks, recipe, 1)
            results = {one.store: one for one in every.results()}
            files = {task.store: every.files for task in tasks}
        else:
            results = {task.store: fit_store(task, recipe) for task in tasks}
            files = {code: one.files for code, one in results.items()}
        for task in tasks:
            result = results[task.store]
            assert result.failure is None, (kind, result.failure)
            folder = model_folder(files[task.store], kind, design.features)
            assert RUN_ID in folder["MLmodel"]
            # At the run of a store of that name, as a pipeline does.
            code = f"{kind} {task.store}"
            named = {f"model/{name}": content for name, content in folder.items()}
            run.log_store(StoreRecord(code, None, "good", files=named))
            name = str(tmp_path / f"{code}.parquet")
            inputs_of(task, recipe).to_parquet(name)
            boosted = kind in (ModelKind.GRADIENT_BOOSTING, ModelKind.GLOBAL)
            asked.append((run.run_id_of(code), name, boosted))
            expected[name] = (result, boosted)
            # The folder alone is enough, without MLflow.
            place = tmp_path / code
            for path, content in folder.items():
                (place / path).parent.mkdir(parents=True, exist_ok=True)
                (place / path).write_bytes(content)
            alone = np.asarray(StoreModel(place).predict(inputs_of(task, recipe)))
            np.testing.assert_allclose(alone[result.is_test], result.predicted[result.is_test], rtol=1e-9)
    done = subprocess.run(
        [sys.executable, "-I", "-c", LONELY, store, json.dumps(asked)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for name, (result, boosted) in expected.items():
        values = np.array(found[name])
        tested = result.is_test & np.isfinite(result.predicted)
        assert tested.sum() > 8
        np.testing.assert_allclose(values[tested], result.predicted[tested], rtol=1e-9, err_msg=name)
        if "seasonal" not in name:
            trained = np.isfinite(result.predicted)
            np.testing.assert_allclose(values[trained], result.predicted[trained], rtol=1e-9, err_msg=name)
        if boosted:
            assert found[f"{name} trees"] == (kit.ROUNDS if "global" in name else models.ROUNDS)


def test_the_one_model_takes_a_store_it_never_saw(tmp_path: Path) -> None:
    sales = read_sales(kit.csv(tmp_path / "s.csv", kit.usual(2, 150)))
    design = build_design(sales, 14)
    tasks, recipe = kit.tasks(design), kit.recipe(design, sales, ModelKind.GLOBAL)
    every = OneModel(tasks, recipe, 1)
    list(every.results())
    for path, content in every.files.items():
        (tmp_path / path).write_bytes(content)
    model = StoreModel(tmp_path)
    known = inputs_of(tasks[0], recipe)
    strange = np.asarray(model.predict(known.assign(store="S999")))
    assert np.isfinite(strange[60:]).all()
    assert not np.array_equal(strange, model.predict(known), equal_nan=True)
