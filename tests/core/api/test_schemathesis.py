"""Whatever is sent to the API: no 5xx, nothing read or written by who may not, answers as the document says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from core.access import Role
from core.api.app import create_app
from tests.core.api.conftest import Api
from tests.core.api.kit import FakeTraining
from tests.core.api.test_access import state

BUDGET_SECONDS = 30.0
LEAST_EXAMPLES = 4
KNOWN = {"name": "ppo", "version": 1, "job_id": 1}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def operations(api: Api) -> Iterator[Any]:
    app = create_app(lambda: api.workspace)

    async def below_api(scope: Any, receive: Any, send: Any) -> None:
        # A mount leaves a path with a line break to whatever else is served; here it shall come through.
        await app({**scope, "root_path": "/api"}, receive, send)

    schema = schemathesis.openapi.from_asgi("/api/openapi.json", below_api)
    for found in schema.get_all_operations():
        yield found.ok()


def each_case(api: Api, examples: int, seconds: float, check: Callable[[Case], None]) -> int:
    """Check cases of every operation, those that the document allows and those that it does not; count them."""
    every = list(operations(api))
    counts = {operation.label: tried(operation, examples, seconds / len(every), check) for operation in every}
    assert min(counts.values()) > 0, counts
    return sum(counts.values())


def tried(operation: Any, examples: int, seconds: float, check: Callable[[Case], None]) -> int:
    count, end = 0, time.monotonic() + seconds

    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=st.one_of([operation.as_strategy(generation_mode=mode) for mode in GenerationMode]),
        known=st.booleans(),
    )
    def run(case: Case, known: bool) -> None:
        nonlocal count
        if known:
            # A name out of the blue is hardly ever that of a model.
            case.path_parameters.update({key: KNOWN[key] for key in case.path_parameters if key in KNOWN})
        # A slow machine tries fewer, but some of each.
        if time.monotonic() < end or count < LEAST_EXAMPLES:
            count += 1
            check(case)

    run()
    return count


def called(case: Case, token: str) -> Any:
    # Cases that try it without a token leave it out all the same.
    case.headers["Authorization"] = f"Bearer {token}"
    return case.call()


def test_nothing_that_is_sent_ends_in_a_5xx(api: Api) -> None:
    token = api.tokens[Role.ADMIN]
    statuses: dict[int, int] = {}

    def check(case: Case) -> None:
        # Nobody waits for a retraining here.
        api.training.schedules.begun.clear()
        if isinstance(case.body, dict) and case.body.get("async") is False:
            case.body["async"] = True
        answer = called(case, token)
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
        case.validate_response(answer, checks=CHECKS)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert list(answer.json())[:3] == ["success", "error", "reasons"]

    each_case(api, 25, BUDGET_SECONDS * 0.6, check)
    # On a machine so slow that each operation gets its least, too.
    assert statuses.get(200, 0) > 5 and statuses.get(400, 0) > 5, statuses


def test_nobody_reads_or_writes_without_a_token(api: Api) -> None:
    before = state(api)

    def check(case: Case) -> None:
        case.headers.pop("Authorization", None)
        answer = case.call()
        assert answer.status_code == (200 if case.path == "/health" else 401), answer.text

    each_case(api, 10, BUDGET_SECONDS * 0.2, check)
    assert state(api) == before


def test_a_viewer_writes_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(api)
    for name in ("launch", "stop", "retry", "resume"):
        monkeypatch.setattr(FakeTraining, name, lambda *_: pytest.fail("a viewer reached the desk"))

    def check(case: Case) -> None:
        answer = called(case, api.tokens[Role.VIEWER])
        assert answer.status_code < 500, answer.text
        if case.method != "GET":
            assert answer.status_code >= 400, answer.text

    each_case(api, 10, BUDGET_SECONDS * 0.2, check)
    assert state(api) == before
