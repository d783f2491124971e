"""The list of store pipelines that the demo trains; nothing is trained or logged here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from core.training.stores.models import ModelKind

STORES: Final = 45


@dataclass(frozen=True, slots=True)
class PipelinePlan:
    """One pipeline: a kind of model over all stores."""

    name: str
    kind: ModelKind
    note: str


@dataclass(frozen=True, slots=True)
class StoreExperiment:
    """An experiment of pipelines, in the order they are run.

    Attributes
    ----------
    data : Path or None
        A file of sales; None means generated ones.
    stores : int
        How many each pipeline has.
    """

    name: str
    note: str
    team: str
    people: tuple[str, ...]
    data: Path | None
    stores: int
    entries: tuple[PipelinePlan, ...] = field(repr=False)

    @property
    def size(self) -> int:
        """Number of runs, those of the stores included."""
        return len(self.entries) * (1 + self.stores)

    @property
    def directions(self) -> dict[str, bool]:
        """Which of the logged metrics are better when higher."""
        higher = ("avg_r2", "weighted_r2", "test_r2", "success_rate", "quality_excellent_pct")
        lower = ("test_wape", "avg_smape", "weighted_smape", "test_smape", "quality_poor_pct")
        return {**dict.fromkeys(higher, True), **dict.fromkeys(lower, False)}


def store_experiment(data: Path | None, stores: int = STORES) -> StoreExperiment:
    """Return the demo's pipelines over generated sales, or over a file with so many stores."""
    return StoreExperiment(
        name="store-sales" if data is None else f"stores-{data.stem}",
        note="How well can each shop's sales be forecast six weeks ahead, and whom does a new model hurt?",
        team="retail-forecasting",
        people=("lucia", "tomas"),
        data=data,
        stores=min(stores, STORES),
        entries=(
            PipelinePlan("last week again", ModelKind.SEASONAL_NAIVE, "What a model has to beat."),
            PipelinePlan("a model a store", ModelKind.GRADIENT_BOOSTING, "Learns from the store's own past."),
            PipelinePlan("one model for all", ModelKind.GLOBAL, "Learns from all stores at once."),
        ),
    )
