"""The data sets of the demo: they ship inside scikit-learn, are split once and hashed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.model_selection import train_test_split

SPLIT_SEED: Final = 2024
"""One split for every run, so that their test metrics are about the same rows."""


class Task(StrEnum):
    """What is predicted."""

    REGRESSION = "regression"
    CLASSIFICATION = "classification"


class DataVersion(StrEnum):
    """Every version of every data set; the part after the @ is the version."""

    DIABETES_V1 = "diabetes@v1"
    DIABETES_V2 = "diabetes@v2"
    BREAST_CANCER_V1 = "breast-cancer@v1"
    BREAST_CANCER_V2 = "breast-cancer@v2"
    DIGITS_V1 = "digits@v1"


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Rows of one split.

    Attributes
    ----------
    x : DataFrame of float64, shape (rows, features)
    y : ndarray, shape (rows,)
        float64 for regression, int64 class labels for classification.
    """

    x: pd.DataFrame
    y: npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """One version of a data set: 60 % training, 20 % validation, 20 % test."""

    version: DataVersion
    loader: str
    task: Task
    target: str
    full_hash: str
    train: Part
    valid: Part
    test: Part

    @property
    def classes(self) -> tuple[int, ...]:
        """Class labels in rising order; empty for regression."""
        return tuple(np.unique(self.train.y).tolist()) if self.task is Task.CLASSIFICATION else ()


@cache
def load(version: DataVersion) -> Data:
    """Load, split and hash one version of a data set.

    Returns
    -------
    Data
        Shared between callers: not to be written to.
    """
    loader, task, target, read = _SOURCES[version]
    x, y = read()
    kept, test_rows = _split(np.arange(len(y)), y, 0.2, task)
    train_rows, valid_rows = _split(kept, y[kept], 0.25, task)
    train, valid, test = (
        Part(x.iloc[rows].reset_index(drop=True), y[rows]) for rows in (train_rows, valid_rows, test_rows)
    )
    return Data(version, loader, task, target, data_hash(x, y), train, valid, test)


def data_hash(x: pd.DataFrame, y: npt.NDArray[Any]) -> str:
    """Hash the column names and the values as little-endian doubles, row by row.

    Parameters
    ----------
    x : DataFrame, shape (rows, features)
    y : ndarray, shape (rows,)

    Returns
    -------
    str
        SHA-256, 64 hexadecimal digits.
    """
    values = np.column_stack([x.to_numpy(dtype="<f8"), y.astype("<f8")])
    digest = hashlib.sha256(json.dumps(list(x.columns)).encode())
    digest.update(values.tobytes())
    return digest.hexdigest()


def _split(
    rows: npt.NDArray[np.int64], y: npt.NDArray[Any], size: float, task: Task
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    stratify = y if task is Task.CLASSIFICATION else None
    kept, held_out = train_test_split(rows, test_size=size, random_state=SPLIT_SEED, stratify=stratify)
    return np.sort(kept), np.sort(held_out)


def _diabetes() -> tuple[pd.DataFrame, npt.NDArray[Any]]:
    bunch = load_diabetes(as_frame=True, scaled=False)
    names = {"s1": "total_cholesterol", "s2": "ldl", "s3": "hdl", "s4": "cholesterol_ratio"}
    names |= {"s5": "log_triglycerides", "s6": "blood_sugar", "bp": "blood_pressure"}
    return bunch.data.rename(columns=names).astype("float64"), bunch.target.to_numpy(dtype="float64")


def _diabetes_without_extremes() -> tuple[pd.DataFrame, npt.NDArray[Any]]:
    x, y = _diabetes()
    kept = x["blood_sugar"].between(*x["blood_sugar"].quantile([0.02, 0.98])).to_numpy()
    return x[kept], y[kept]


def _breast_cancer() -> tuple[pd.DataFrame, npt.NDArray[Any]]:
    bunch = load_breast_cancer(as_frame=True)
    x = bunch.data.rename(columns=lambda name: name.replace(" ", "_")).astype("float64")
    # scikit-learn calls benign 1; a screening looks for the malignant ones.
    return x, 1 - bunch.target.to_numpy(dtype="int64")


def _breast_cancer_means_only() -> tuple[pd.DataFrame, npt.NDArray[Any]]:
    x, y = _breast_cancer()
    return x[[name for name in x.columns if name.startswith("mean_")]], y


def _digits() -> tuple[pd.DataFrame, npt.NDArray[Any]]:
    bunch = load_digits(as_frame=True)
    return (bunch.data / 16).astype("float64"), bunch.target.to_numpy(dtype="int64")


_Reader = Callable[[], tuple[pd.DataFrame, npt.NDArray[Any]]]
_SOURCES: Final[dict[DataVersion, tuple[str, Task, str, _Reader]]] = {
    DataVersion.DIABETES_V1: ("load_diabetes", Task.REGRESSION, "progression", _diabetes),
    DataVersion.DIABETES_V2: ("load_diabetes", Task.REGRESSION, "progression", _diabetes_without_extremes),
    DataVersion.BREAST_CANCER_V1: ("load_breast_cancer", Task.CLASSIFICATION, "malignant", _breast_cancer),
    DataVersion.BREAST_CANCER_V2: (
        "load_breast_cancer",
        Task.CLASSIFICATION,
        "malignant",
        _breast_cancer_means_only,
    ),
    DataVersion.DIGITS_V1: ("load_digits", Task.CLASSIFICATION, "digit", _digits),
}
