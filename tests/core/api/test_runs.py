"""Routes of runs: those of the command line, filtered and paged."""

from __future__ import annotations

import pytest
from mlflow import MlflowClient

from tests.core.api.conftest import Api, Printed
from tests.core.api.kit import refusal, value


def test_runs_are_those_of_the_command_line(api: Api, printed: Printed) -> None:
    found = value(api.client, "/api/runs?order_by=metrics.sharpe%20DESC&experiment=trading")
    assert found == printed("runs", "-e", "trading", "--order-by", "metrics.sharpe DESC")
    assert [one["run_id"] for one in found["runs"][:2]] == api.runs[::-1]


def test_runs_are_filtered_and_paged(api: Api) -> None:
    assert (
        value(api.client, "/api/runs?filter=metrics.sharpe%20%3E%201.2")["runs"][0]["run_id"] == api.runs[1]
    )
    page = value(api.client, "/api/runs?order_by=metrics.sharpe&limit=1&offset=1")
    assert (page["total"], [one["run_id"] for one in page["runs"]]) == (3, [api.runs[1]])
    assert value(api.client, "/api/runs?limit=0") == {"total": 3, "runs": []}
    assert value(api.client, "/api/runs?view=deleted")["total"] == 0


def test_a_number_that_is_missing_is_null(api: Api) -> None:
    (run,) = value(api.client, "/api/runs?filter=attributes.run_name%20%3D%20'diverged'")["runs"]
    assert run["metrics"] == {"loss": None}


def test_a_run_is_found_by_its_beginning(api: Api) -> None:
    run = value(api.client, f"/api/runs/{api.runs[0][:10]}")
    assert (run["run_id"], run["metrics"]) == (api.runs[0], {"sharpe": 1.0})
    assert run["start_time"].endswith("Z")


def test_a_run_that_is_younger_than_the_index_is_found(api: Api) -> None:
    value(api.client, "/api/runs")
    # So that the background look is not what finds it.
    api.workspace.keeper.stop()
    client = MlflowClient(api.workspace.settings.effective_tracking_uri)
    fresh = client.create_run("0", run_name="fresh").info.run_id
    assert value(api.client, f"/api/runs/{fresh}")["run_name"] == "fresh"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/runs?filter=metrics.sharpe%20%3E%3E%201", 400),
        ("/api/runs?filter=%00", 400),
        ("/api/runs?order_by=nonsense%20of%20mine", 400),
        ("/api/runs?limit=-1", 400),
        ("/api/runs?limit=1001", 400),
        ("/api/runs?offset=1e3", 400),
        ("/api/runs?view=gone", 400),
        ("/api/runs?experiment=none%20such", 404),
        ("/api/runs/ffffffffffffffffffffffffffffffff", 404),
        ("/api/runs/ffff", 404),
        ("/api/runs/..%2f..%2fetc", 404),
        ("/api/runs/a%20b", 400),
    ],
)
def test_a_question_for_runs_that_cannot_be_answered_is_refused(api: Api, path: str, status: int) -> None:
    refusal(api.client, path, status, method="GET")
