"""A metric's history as a few numbers for a table cell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dashboard.charts.thinning import extremes, finite

MAX_VALUES = 32


def sparkline(values: npt.ArrayLike) -> list[float]:
    """Return at most 32 of the values for `st.column_config.LineChartColumn`, extremes kept.

    NaN and infinities are left out: the cell has no way to show a gap.
    """
    numbers = finite(values)
    numbers = numbers[~np.isnan(numbers)]
    return [float(value) for value in numbers[extremes(numbers, MAX_VALUES)]]
