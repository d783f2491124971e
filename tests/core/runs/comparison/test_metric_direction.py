import pytest

from core.errors import BadInputError
from core.runs.comparison.metric_direction import (
    HIGHER,
    LOWER,
    NEUTRAL,
    PHRASES,
    SIGNED,
    known_direction,
    name_tokens,
    parse_directions,
)


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("val_loss", ("val", "loss")),
        ("testRMSE", ("test", "rmse")),
        ("test/rmse", ("test", "rmse")),
        ("RMSETest", ("rmse", "test")),
        ("eval.f1-macro", ("eval", "f1", "macro")),
        ("Training Info", ("training", "info")),
        ("R²", ("r2",)),
        ("__", ()),
    ],
)
def test_names_are_split_into_words(name, tokens):
    assert name_tokens(name) == tokens


LOWER_NAMES = """
    rmse RMSE val_loss testRMSE test/rmse train.mae sMAPE sMAPE_by_h mape wape MeanSquaredError logLoss
    cross_entropy error_rate annual_volatility training_duration return_volatility max_drawdown_duration
    false_positive_rate negative_log_likelihood train_loss_step neg_r2 brier_score
"""


@pytest.mark.parametrize("name", LOWER_NAMES.split())
def test_lower_is_better(name):
    assert known_direction(name) is False


HIGHER_NAMES = """
    accuracy val_acc auc rocAUC f1_macro macro-f1 R2 r2_score R² test/r2 mAP50 recall@5 precision
    val_sharpe_ppo sortino calmar best_reward rollout/ep_rew_mean total_return explained_variance
    profit_factor win_loss_ratio success_rate neg_mean_squared_error gross_profit_loss training_score
"""


@pytest.mark.parametrize("name", HIGHER_NAMES.split())
def test_higher_is_better(name):
    assert known_direction(name) is True


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("trades", "an unknown word"),
        ("lossy", "a word that only begins like a known one"),
        ("closs", "a word that only ends like a known one"),
        ("reward_std", "a spread, not a reward"),
        ("std_r2", "a spread, not an R2"),
        ("return_over_max_drawdown", "a quotient of a good and a bad thing"),
        ("stop_loss_hits", "an order type"),
        ("max_drawdown", "a depth without values"),
    ],
)
def test_nothing_is_guessed(name, why):
    assert known_direction(name) is None, why


@pytest.mark.parametrize("name", ["max_drawdown", "maxDrawdown", "mdd", "cvar_95", "value_at_risk"])
def test_the_sign_convention_of_a_depth_is_read_from_its_values(name):
    assert known_direction(name, [-0.2, None, -0.1, float("nan"), 0.0]) is True
    assert known_direction(name, [0.2, None, 0.1, float("nan"), 0.0]) is False
    assert known_direction(name, [-0.2, 0.1]) is None
    assert known_direction(name, [0.0, None, float("nan")]) is None


def test_the_values_of_a_quotient_say_nothing():
    assert known_direction("return_over_max_drawdown", [1.2, 2.3]) is None
    assert known_direction("reward_to_error", [1.2, 2.3]) is None


def test_values_decide_for_depths_only():
    assert known_direction("loss", [-3.0, -2.0]) is False
    assert known_direction("sharpe", [-3.0, -2.0]) is True


def test_no_word_is_in_two_lists():
    lists = [HIGHER, LOWER, NEUTRAL, SIGNED]
    assert sum(map(len, lists)) == len(frozenset().union(*lists))


@pytest.mark.parametrize("phrase", PHRASES, ids=" ".join)
def test_every_phrase_is_reachable(phrase):
    assert known_direction("_".join(phrase)) is PHRASES[phrase]


def test_directions_of_an_experiment_tag():
    assert parse_directions('{"rmse": false, "hit ratio": true}') == {"rmse": False, "hit ratio": True}


@pytest.mark.parametrize("nothing", [None, "", "  \n"])
def test_no_tag_says_nothing(nothing):
    assert parse_directions(nothing) == {}


@pytest.mark.parametrize(
    ("garbage", "reason"),
    [
        ("rmse: false", "not JSON"),
        ('["rmse"]', "not an object"),
        ("true", "not an object"),
        ('{"rmse": "lower"}', "'rmse' is neither true nor false"),
        ('{"sharpe": true, "rmse": 0}', "'rmse' is neither true nor false"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_garbage_in_the_tag_is_refused_with_a_sentence(garbage, reason):
    with pytest.raises(BadInputError) as refused:
        parse_directions(garbage)
    sentence = str(refused.value)
    assert reason in sentence
    assert "greenroom.higher_is_better" in sentence
    assert len(sentence) < 400
