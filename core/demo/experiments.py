"""The list of everything the demo trains; nothing is trained or logged here."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from core.demo.data import DataVersion, Task
from core.demo.plan import ExperimentPlan, ModelKind, ParamValue, RunPlan, SweepPlan


def demo_experiments() -> tuple[ExperimentPlan, ...]:
    """List the experiments of the demo, the same at every call."""
    return (
        ExperimentPlan(
            name="diabetes-regression",
            note="How far will diabetes progress within a year? 442 patients, ten measurements.",
            team="clinical-risk",
            people=("amara", "jonas"),
            task=Task.REGRESSION,
            entries=(*_diabetes_linear(), *_diabetes_trees(), *_diabetes_networks()),
        ),
        ExperimentPlan(
            name="breast-cancer-screening",
            note="Is the tumour malignant? 569 biopsies; v2 of the data keeps the ten mean values only.",
            team="screening",
            people=("mei", "tomas", "amara"),
            task=Task.CLASSIFICATION,
            entries=(*_screening_linear(), _screening_svc(), *_screening_trees()),
        ),
        ExperimentPlan(
            name="digits-recognition",
            note="Which digit is drawn in 8 x 8 pixels? Training curves of many epochs.",
            team="vision",
            people=("priya", "jonas"),
            task=Task.CLASSIFICATION,
            entries=tuple(_digits_runs()),
        ),
    )


def _diabetes_linear() -> Iterator[RunPlan]:
    v1, v2 = DataVersion.DIABETES_V1, DataVersion.DIABETES_V2
    yield RunPlan("mean of the training set", ModelKind.BASELINE, v1, {}, note="What a model has to beat.")
    for alpha in (0.01, 0.1, 1.0, 10.0, 100.0):
        yield RunPlan(
            f"ridge alpha={alpha:g}", ModelKind.RIDGE, v1, {"alpha": alpha}, keeps_model=alpha >= 1.0
        )
    for alpha in (0.1, 10.0):
        note = "Trained without the most extreme blood sugar values: not comparable with v1."
        name = f"ridge alpha={alpha:g} (v2)"
        yield RunPlan(name, ModelKind.RIDGE, v2, {"alpha": alpha}, note=note, keeps_model=alpha == 10.0)
    for alpha in (0.03, 0.3, 3.0):
        yield RunPlan(
            f"lasso alpha={alpha:g}", ModelKind.LASSO, v1, {"alpha": alpha}, keeps_model=alpha != 0.3
        )
    yield RunPlan(
        "岭回归 “夜间” – α = 0,5 'final'",
        ModelKind.RIDGE,
        v1,
        {"alpha": 0.5},
        note="夜间运行。Names may hold any script, quotes and blanks.",
    )


def _diabetes_trees() -> Iterator[RunPlan | SweepPlan]:
    v1, v2 = DataVersion.DIABETES_V1, DataVersion.DIABETES_V2
    forest: dict[str, ParamValue] = {"n_estimators": 60, "max_depth": 6, "min_samples_leaf": 3}
    for seed in (1, 2, 3, 4, 5):
        yield RunPlan(f"forest depth=6 seed={seed}", ModelKind.RANDOM_FOREST, v1, forest, seed=seed)
    yield RunPlan("forest depth=6 (v2)", ModelKind.RANDOM_FOREST, v2, forest)
    yield SweepPlan(
        "boosting sweep",
        "Grid of learning rate and depth; the parent repeats the metrics of the best child.",
        tuple(
            RunPlan(
                f"boosting lr={rate:g} depth={depth}",
                ModelKind.GRADIENT_BOOSTING,
                v1,
                {"learning_rate": rate, "max_depth": depth, "n_estimators": 80, "subsample": 0.8},
            )
            for rate, depth in product((0.03, 0.1, 0.3), (1, 2, 3))
        ),
    )


def _diabetes_networks() -> Iterator[RunPlan]:
    # The last two rates are too large: the loss grows until it is infinite or NaN, and the run fails.
    for rate in (0.002, 0.005, 0.01, 0.03):
        params: dict[str, ParamValue] = {"hidden_units": 32, "learning_rate": rate, "epochs": 60}
        yield RunPlan(
            f"network lr={rate:g}", ModelKind.MLP, DataVersion.DIABETES_V1, {**params, "solver": "sgd"}
        )


def _screening_linear() -> Iterator[RunPlan]:
    v1, v2 = DataVersion.BREAST_CANCER_V1, DataVersion.BREAST_CANCER_V2
    for c, weight in product((0.01, 0.1, 1.0), ("none", "balanced")):
        params: dict[str, ParamValue] = {"C": c, "class_weight": weight}
        name = f"logistic C={c:g} {'balanced' if weight == 'balanced' else 'unweighted'}"
        best = (c, weight) == (0.1, "balanced")
        note = "Balanced weights: a missed tumour costs more than a second look." if best else None
        yield RunPlan(name, ModelKind.LOGISTIC_REGRESSION, v1, params, note=note, keeps_model=best)
    for c in (0.1, 1.0):
        params = {"C": c, "class_weight": "balanced"}
        yield RunPlan(f"logistic C={c:g} balanced (v2)", ModelKind.LOGISTIC_REGRESSION, v2, params)


def _screening_svc() -> SweepPlan:
    return SweepPlan(
        "SVC sweep",
        "Grid of C and gamma with a radial kernel.",
        tuple(
            RunPlan(
                f"SVC C={c:g} gamma={gamma:g}",
                ModelKind.SVC,
                DataVersion.BREAST_CANCER_V1,
                {"C": c, "gamma": gamma, "kernel": "rbf"},
            )
            for c, gamma in product((0.3, 1.0, 10.0), (0.003, 0.03, 0.3))
        ),
    )


def _screening_trees() -> Iterator[RunPlan]:
    v1, v2 = DataVersion.BREAST_CANCER_V1, DataVersion.BREAST_CANCER_V2
    for rate, version in ((0.03, v1), (0.1, v1), (0.3, v1), (0.1, v2)):
        params: dict[str, ParamValue] = {"learning_rate": rate, "max_iter": 60, "max_leaf_nodes": 15}
        name = f"hist boosting lr={rate:g}{' (v2)' if version is v2 else ''}"
        yield RunPlan(name, ModelKind.HIST_GRADIENT_BOOSTING, version, params)
    for seed in (1, 2, 3):
        params = {"n_estimators": 60, "max_depth": 8, "min_samples_leaf": 2}
        yield RunPlan(f"forest depth=8 seed={seed}", ModelKind.RANDOM_FOREST, v1, params, seed=seed)


def _digits_runs() -> Iterator[RunPlan]:
    v1 = DataVersion.DIGITS_V1
    for alpha in (1e-5, 1e-4, 1e-3, 1e-2):
        params: dict[str, ParamValue] = {"alpha": alpha, "learning_rate": 0.01, "epochs": 40}
        yield RunPlan(f"SGD alpha={alpha:g}", ModelKind.SGD, v1, params)
    for units, rate in product((16, 64), (0.001, 0.01)):
        params = {"hidden_units": units, "learning_rate": rate, "epochs": 40, "solver": "adam"}
        yield RunPlan(f"MLP {units} lr={rate:g}", ModelKind.MLP, v1, params)
    for seed in (1, 2, 3, 4, 5):
        params = {"hidden_units": 32, "learning_rate": 0.003, "epochs": 40, "solver": "adam"}
        yield RunPlan(f"MLP 32 seed={seed}", ModelKind.MLP, v1, params, seed=seed)
    params = {"hidden_units": 128, "learning_rate": 0.0003, "epochs": 400, "solver": "adam"}
    yield RunPlan("MLP 128, too slow", ModelKind.MLP, v1, params, stop_after=25)
    for leaf in (1, 5):
        params = {"n_estimators": 60, "max_depth": 12, "min_samples_leaf": leaf}
        yield RunPlan(f"forest min leaf={leaf}", ModelKind.RANDOM_FOREST, v1, params)
    params = {"C": 0.3, "class_weight": "none"}
    note = "The simplest model that is good enough; kept to be served."
    yield RunPlan("logistic C=0.3", ModelKind.LOGISTIC_REGRESSION, v1, params, note=note, keeps_model=True)
