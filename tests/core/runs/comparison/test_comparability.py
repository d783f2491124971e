import pytest

from core.runs.comparison.comparability import IssueKind, Severity, ValueGroup, comparability_issues
from core.runs.types import DatasetInput, Run

FULL = "3f2a9c41d07be8856a1c" + "0" * 44


def a_run(name="run", *, status="FINISHED", params=None, tags=None, digests=(), context="training") -> Run:
    return Run(
        run_id=f"id-of-{name}",
        experiment_id="1",
        name=name,
        status=status,
        start_time=None,
        end_time=None,
        user="",
        lifecycle_stage="active",
        artifact_uri="",
        parent_run_id=None,
        params={"dataset_hash": FULL[:16]} if params is None else params,
        tags=tags or {},
        datasets=tuple(DatasetInput("prices", digest, context=context) for digest in digests),
    )


def with_params(name, **params):
    return a_run(name, params={"dataset_hash": FULL[:16], **params})


def only(issues):
    (issue,) = issues
    return issue


def test_like_runs_have_no_issue():
    twin = {"dataset_hash": FULL[:16], "backtest_start": "2020-01-01", "commission": "0.001"}
    tags = {"mlflow.source.git.commit": "1234567890ab"}
    assert (
        comparability_issues([a_run("a", params=twin, tags=tags), a_run("b", params=twin, tags=tags)]) == ()
    )


def test_another_dataset_hash_is_a_warning():
    issue = only(comparability_issues([a_run("a"), a_run("b"), a_run("c", params={"dataset_hash": "77aa"})]))
    assert (issue.kind, issue.severity) == (IssueKind.DATASET, Severity.WARNING)
    assert issue.message == "Not the same data: dataset_hash is 3f2a9c41d07b in a and b, 77aa in c."
    assert issue.groups == (ValueGroup(FULL[:16], (0, 1)), ValueGroup("77aa", (2,)))


def test_a_short_hash_in_a_param_equals_the_full_hash_in_a_tag():
    assert not comparability_issues([a_run("a"), a_run("b", params={}, tags={"dataset_hash_full": FULL})])


def test_a_missing_dataset_hash_is_a_note():
    issue = only(comparability_issues([a_run("a"), a_run("b", params={"dataset_hash": "None"})]))
    assert (issue.kind, issue.severity) == (IssueKind.DATASET, Severity.NOTE)
    assert issue.message == "No dataset_hash in b: whether the data are the same cannot be told."
    assert issue.groups == (ValueGroup(None, (1,)),)


def test_another_and_a_missing_hash_are_two_issues_the_warning_first():
    runs = [a_run("a", params={}), a_run("b"), a_run("c", params={"dataset_hash": "77aa"})]
    assert [issue.severity for issue in comparability_issues(runs)] == [Severity.WARNING, Severity.NOTE]


def test_a_hash_in_no_run_is_said_too():
    issue = only(comparability_issues([a_run("a", params={}), a_run("b", params={})]))
    assert issue.message == "No dataset_hash in any run: whether the data are the same cannot be told."


@pytest.mark.parametrize("context", ["training", "train", None])
def test_digests_of_training_data_count(context):
    runs = [a_run("a", params={}, digests=["d1"], context=context), a_run("b", params={}, digests=["d2"])]
    assert (
        only(comparability_issues(runs)).message == "Not the same data: dataset digest is d1 in a, d2 in b."
    )
    runs = [
        a_run("a", params={}, digests=["d1", "d2"], context=context),
        a_run("b", params={}, digests=["d2", "d1"]),
    ]
    assert comparability_issues(runs) == ()


def test_digests_of_evaluation_data_do_not_count():
    assert not comparability_issues(
        [a_run("a", digests=["d1"], context="eval"), a_run("b", digests=["d2"], context="eval")]
    )


def test_a_digest_cannot_stand_in_for_a_hash():
    issue = only(comparability_issues([a_run("a"), a_run("b", params={}, digests=["d1"])]))
    assert issue.severity is Severity.NOTE


@pytest.mark.parametrize(
    "key", ["backtest_start", "backtest_end", "end_date", "test_start", "testEnd", "date_range", "window"]
)
@pytest.mark.parametrize("place", ["params", "tags"])
def test_another_backtest_window_is_a_warning(key, place):
    hashed = {"dataset_hash": FULL}
    runs = [
        a_run(
            name,
            params=hashed | ({key: day} if place == "params" else {}),
            tags={key: day} if place == "tags" else {},
        )
        for name, day in (("a", "2020-01-01"), ("b", "2021-01-01"))
    ]
    issue = only(comparability_issues(runs))
    assert (issue.kind, issue.severity) == (IssueKind.WINDOW, Severity.WARNING)
    assert "is 2020-01-01 in a, 2021-01-01 in b." in issue.message


def test_equal_days_in_other_words_are_no_other_window():
    assert not comparability_issues(
        [
            with_params("a", backtest_start="2020-01-01"),
            with_params("b", backtestStart="2020-01-01T00:00:00Z"),
        ]
    )


def test_a_look_back_is_no_backtest_window():
    assert not comparability_issues([with_params("a", window="20"), with_params("b", window="50")])


@pytest.mark.parametrize(
    "key", ["commission", "transaction_cost_bps", "slippage", "bid_ask_spread", "feeRate", "env/fees"]
)
def test_other_costs_are_a_warning(key):
    issue = only(comparability_issues([with_params("a", **{key: "0.001"}), with_params("b", **{key: "0"})]))
    assert (issue.kind, issue.severity) == (IssueKind.COSTS, Severity.WARNING)
    assert issue.message.endswith("is 0.001 in a, 0 in b.")


def test_costs_are_compared_as_numbers_and_by_whole_words():
    assert not comparability_issues(
        [with_params("a", commission="1e-3"), with_params("b", commission="0.0010")]
    )
    assert not comparability_issues([with_params("a", coffee="1"), with_params("b", coffee="2")])


def test_costs_that_only_some_runs_record_are_a_note():
    issue = only(comparability_issues([with_params("a", commission="1", slippage="2"), with_params("b")]))
    assert (issue.kind, issue.severity) == (IssueKind.COSTS, Severity.NOTE)
    assert issue.message == "No commission or slippage in b: whether the costs are the same cannot be told."


def test_several_costs_are_told_in_one_sentence_and_group_the_runs():
    runs = [with_params("a", commission="1", slippage="5"), with_params("b", commission="1", slippage="6")]
    runs.append(with_params("c", commission="2", slippage="6"))
    issue = only(comparability_issues(runs))
    assert (
        issue.message
        == "Not the same costs: commission is 1 in a and b, 2 in c; slippage is 5 in a, 6 in b and c."
    )
    assert [group.indexes for group in issue.groups] == [(0,), (1,), (2,)]


def test_other_code_is_a_note():
    runs = [
        a_run("a", tags={"mlflow.source.git.commit": "a" * 40}),
        a_run("b", tags={"mlflow.source.git.commit": "b" * 40}),
    ]
    issue = only(comparability_issues(runs))
    assert (issue.kind, issue.severity) == (IssueKind.CODE, Severity.NOTE)
    assert issue.message == "Not the same code: git commit is aaaaaaaaaaaa in a, bbbbbbbbbbbb in b."


def test_the_commit_is_compared_by_a_name_that_all_runs_share():
    training, launcher = "a" * 40, "b" * 40
    runs = [
        a_run("a", tags={"git_commit_sha": training, "mlflow.source.git.commit": launcher}),
        with_params("b", git_commit_sha=training[:12]),
    ]
    assert comparability_issues(runs) == ()


def test_unfinished_runs_are_a_warning():
    runs = [
        a_run("a"),
        a_run("b", status="RUNNING"),
        a_run("c", status="FAILED"),
        a_run("d", status="FAILED"),
    ]
    issue = only(comparability_issues(runs))
    assert (issue.kind, issue.severity) == (IssueKind.STATUS, Severity.WARNING)
    assert issue.message == "Not finished: b RUNNING, c and d FAILED; metrics may be incomplete."
    assert issue.groups[0] == ValueGroup("FINISHED", (0,))


def test_runs_of_one_name_are_told_apart_by_id():
    first = Run(
        "11111111aa", "1", "ppo", "RUNNING", None, None, "", "active", "", None, {"dataset_hash": "1"}
    )
    second = Run(
        "22222222bb", "1", "ppo", "FINISHED", None, None, "", "active", "", None, {"dataset_hash": "1"}
    )
    assert "ppo (11111111) RUNNING" in only(comparability_issues([first, second])).message


def test_many_values_and_runs_still_make_a_short_sentence():
    runs = [with_params(f"run-{i}", dataset_hash=f"{i % 50:016x}", **{f"fee_{i}": "1"}) for i in range(200)]
    for issue in comparability_issues(runs):
        assert len(issue.message) < 200
    assert "and 47 more values" in comparability_issues(runs)[0].message
