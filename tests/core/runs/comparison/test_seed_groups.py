from core.runs.comparison.seed_groups import SeedGroup, seed_groups
from core.runs.types import Run


def a_run(experiment: str = "1", **params: str) -> Run:
    return Run("id", experiment, "", "FINISHED", None, None, "", "active", "", None, params=params)


def test_runs_that_differ_in_the_seed_only_are_one_group():
    runs = [
        a_run(lr="0.1", gamma="0.9", seed="1"),
        a_run(lr="0.2", gamma="0.9", seed="1"),
        a_run(lr="0.1", gamma="0.9", seed="2"),
        a_run(lr="0.2", gamma="0.9", seed="2"),
        a_run(lr="0.3", gamma="0.9", seed="1"),
    ]
    assert seed_groups(runs) == (SeedGroup("lr=0.1", (0, 2)), SeedGroup("lr=0.2", (1, 3)))


def test_every_usual_name_of_a_seed_counts():
    for name in (
        "seed",
        "random_state",
        "randomState",
        "env.seed",
        "np-seed",
        "model/random_state",
        "torchSeed",
    ):
        assert seed_groups([a_run(lr="1", **{name: "1"}), a_run(lr="1", **{name: "2"})]), name
    for name in ("seeding_rate", "state", "random_walk", "random_forest_state"):
        assert not seed_groups([a_run(lr="1", **{name: "1"}), a_run(lr="1", **{name: "2"})]), name


def test_equal_params_without_a_seed_are_repeats_too():
    assert seed_groups([a_run(lr="1"), a_run(lr="1")]) == (SeedGroup("2 seeds", (0, 1)),)


def test_runs_without_params_repeat_nothing():
    assert seed_groups([a_run(), a_run(), a_run(lr="1")]) == ()


def test_a_param_that_only_one_run_has_tells_runs_apart():
    assert seed_groups([a_run(lr="1", dropout="0.1"), a_run(lr="1")]) == ()


def test_labels_name_no_more_params_than_it_takes():
    runs = [
        a_run(algorithm="ppo", clip="0.2", lr="1", seed="1"),
        a_run(algorithm="ppo", clip="0.2", lr="1", seed="2"),
        a_run(algorithm="dqn", buffer="1000", lr="1", seed="1"),
        a_run(algorithm="dqn", buffer="1000", lr="1", seed="2"),
    ]
    assert [group.label for group in seed_groups(runs)] == ["algorithm=ppo", "algorithm=dqn"]


def test_a_label_says_when_a_param_is_missing():
    runs = [a_run(lr="1", seed=s) for s in "12"] + [a_run(lr="1", dropout="0.1", seed=s) for s in "12"]
    assert [group.label for group in seed_groups(runs)] == ["no dropout", "dropout=0.1"]


def test_equal_params_in_two_experiments_are_two_groups():
    runs = [a_run("7", lr="1", seed=s) for s in "12"] + [a_run("8", lr="1", seed=s) for s in "123"]
    assert seed_groups(runs) == (SeedGroup("experiment=7", (0, 1)), SeedGroup("experiment=8", (2, 3, 4)))
