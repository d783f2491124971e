"""A registry in memory that behaves as MLflow's; `test_fake_registry` holds it to the real one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from core.errors import NotFoundError
from core.registry.types import Model, Stage, Version

_START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeRegistry:
    """A `core.registry.promotion.Registry` and a `core.registry.reading.base.RegistrySource`."""

    info = "memory"

    def __init__(self, name: str = "m", versions: int = 8) -> None:
        self.writes = 0
        self._model = Model(
            name,
            _START,
            _START,
            tuple(
                Version(
                    name,
                    number,
                    Stage.NONE,
                    f"/artifacts/{number:032x}/artifacts/model",
                    f"{number:032x}",
                    _START,
                    _START,
                )
                for number in range(1, versions + 1)
            ),
        )

    def fingerprint(self) -> str:
        return str(self.writes)

    def schema_problem(self) -> None:
        return None

    def close(self) -> None:
        pass

    def models(self) -> tuple[Model, ...]:
        return (self._shown(),)

    def model(self, name: str) -> Model:
        if name != self._model.name:
            raise NotFoundError(f"There is no model '{name}'.")
        return self._shown()

    def move(self, model: Model, version: int, stage: Stage, *, archive_others: bool) -> None:
        self._model.version(version)
        now = self._now()
        moved = []
        for one in self._model.versions:
            if one.version == version:
                moved.append(replace(one, stage=stage, updated=now))
            elif archive_others and one.stage is stage:
                moved.append(replace(one, stage=Stage.ARCHIVED, updated=now))
            else:
                moved.append(one)
        self._model = replace(self._model, versions=tuple(moved), updated=now)

    def point(self, model: str, alias: str, version: int | None) -> None:
        aliases = {key: value for key, value in self._model.aliases.items() if key != alias}
        if version is not None:
            aliases[alias] = version
        self._now()
        self._model = replace(self._model, aliases=aliases)

    def tag(self, model: str, version: int, tags: Mapping[str, str]) -> None:
        self._now()
        self._model = replace(
            self._model,
            versions=tuple(
                replace(one, tags={**one.tags, **tags}) if one.version == version else one
                for one in self._model.versions
            ),
        )

    def _now(self) -> datetime:
        self.writes += 1
        return _START + timedelta(seconds=self.writes)

    def _shown(self) -> Model:
        pointed = self._model.aliases
        return replace(
            self._model,
            versions=tuple(
                replace(
                    one,
                    aliases=tuple(
                        sorted(alias for alias, number in pointed.items() if number == one.version)
                    ),
                )
                for one in self._model.versions
            ),
        )
