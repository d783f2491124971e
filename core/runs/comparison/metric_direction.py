"""Whether a higher value of a metric is better: by an experiment's own word, else by well-known names."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

from core.errors import BadInputError

DIRECTIONS_TAG: Final = "greenroom.higher_is_better"
"""Experiment tag: a JSON object such as ``{"rmse": false, "hit_ratio": true}``."""

_HIGHER = """
    acc accuracy auc aupr auprc auroc bleu cagr calmar dice elbo equity expectancy f1 f2 fbeta fps gain gains
    hit hits iou kappa likelihood loglik map mcc miou mrr ndcg omega pnl ppv prauc precision profit profits
    psnr purity r2 recall return returns rew reward rewards rocauc rouge rsquared sensitivity sharpe
    silhouette sortino specificity ssim success successful throughput tnr tpr treynor win winrate wins
"""
_LOWER = """
    aic bce bic brier cer commission commissions cost costs crossentropy crps deviance duration eer elapsed
    err error errors failed failure failures fee fees fid fnr fpr latency logloss loss losses mae mape mase
    mdape medae misclassification mse msle mspe nll nmae nrmse perplexity pinball ppl regret rmse rmsle rmspe
    rmsse rss runtime slippage smape sse ulcer volatility wape wer wmape
"""
_NEUTRAL = """
    coef coefficient corr correlation date end kurt kurtosis scale sigma skew skewness start std stddev stdev
    threshold var variance weight
"""
HIGHER: Final = frozenset(_HIGHER.split())
LOWER: Final = frozenset(_LOWER.split())
NEUTRAL: Final = frozenset(_NEUTRAL.split())
"""Words that turn a quality into something else: the spread of a reward is no reward."""
SIGNED: Final = frozenset({"cvar", "dd", "drawdown", "drawdowns", "maxdd", "maxdrawdown", "mdd", "shortfall"})
"""Depths that half of the libraries log as -0.2 and the other half as 0.2: their values decide."""

PHRASES: Final[Mapping[tuple[str, ...], bool | None]] = {
    ("win", "loss", "ratio"): True,
    ("profit", "and", "loss"): True,
    ("profit", "loss"): True,
    ("portfolio", "value"): True,
    ("explained", "variance"): True,
    ("information", "ratio"): True,
    ("information", "coefficient"): True,
    ("true", "positive"): True,
    ("true", "negative"): True,
    ("false", "positive"): False,
    ("false", "negative"): False,
    ("cross", "entropy"): False,
    ("stop", "loss"): None,
    # scikit-learn's own score, as MLflow's autologging names it, is accuracy or R2.
    ("training", "score"): True,
    ("train", "score"): True,
    ("validation", "score"): True,
    ("val", "score"): True,
    ("test", "score"): True,
    ("cv", "score"): True,
}

_KNOWN: Final = HIGHER | LOWER | SIGNED
_NEGATED: Final = frozenset({"neg", "negative"})
_QUOTIENT: Final = frozenset({"ratio", "over", "per", "to"})
_SEPARATORS: Final = re.compile(r"[\W_]+")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def name_tokens(name: str) -> tuple[str, ...]:
    """Lower-case words of a param or metric name, split at ``_ . / -``, blanks and camelCase.

    >>> name_tokens("eval/testRMSE")
    ('eval', 'test', 'rmse')
    """
    return tuple(word.lower() for segment in _segments(name) for word in _CAMEL.split(segment))


def known_direction(name: str, values: Iterable[float | None] = ()) -> bool | None:
    """Say whether higher values of a metric are better, judged by its name.

    Names are read as English: the last known word is the thing itself (``return_volatility`` is a volatility,
    ``val_loss`` a loss), and ``neg_``, as in scikit-learn's ``neg_mean_squared_error``, turns it round.

    Parameters
    ----------
    name : str
    values : iterable of float or None, optional
        The values at hand, used for drawdown-like metrics only: negative ones mean that higher is better,
        positive ones that lower is. Missing, NaN and zero say nothing; with both signs nothing is known.

    Returns
    -------
    bool or None
        None where the name is unknown or contradicts itself, such as ``return_over_drawdown``.
    """
    words = _words(name)
    for phrase, direction in PHRASES.items():
        if _contains(words, phrase):
            return direction
    if NEUTRAL.intersection(words):
        return None
    if _contains(words, ("value", "at", "risk")):
        return _depth_direction(values)
    known = [word for word in words if word in _KNOWN]
    if not known:
        return None
    if _QUOTIENT.intersection(words) and any((word in HIGHER) != (known[0] in HIGHER) for word in known):
        return None
    if known[-1] in SIGNED:
        return _depth_direction(values)
    higher = known[-1] in HIGHER
    return not higher if _NEGATED.intersection(words) else higher


def parse_directions(tag_value: str | None) -> Mapping[str, bool]:
    """Read the experiment tag ``greenroom.higher_is_better``.

    Parameters
    ----------
    tag_value : str or None
        A JSON object of metric names and true or false. None or blank means that nothing is said.

    Raises
    ------
    BadInputError
        If it is anything else.
    """
    if tag_value is None or not tag_value.strip():
        return {}
    try:
        parsed = json.loads(tag_value)
    except (ValueError, RecursionError) as error:
        raise _bad_tag("it is not JSON", tag_value) from error
    if not isinstance(parsed, dict):
        raise _bad_tag("it is not an object", tag_value)
    for key, value in parsed.items():
        if not isinstance(value, bool):
            raise _bad_tag(f"the value of {key!r} is neither true nor false", tag_value)
    return parsed


def _bad_tag(reason: str, tag_value: str) -> BadInputError:
    shown = tag_value if len(tag_value) <= 80 else f"{tag_value[:79]}…"
    return BadInputError(
        f"The experiment tag {DIRECTIONS_TAG} cannot be used, {reason}: {shown} "
        '(write metric names with true or false, such as {"rmse": false, "sharpe": true}).'
    )


def _segments(name: str) -> list[str]:
    # NFKC makes R² the same name as R2.
    return [segment for segment in _SEPARATORS.split(unicodedata.normalize("NFKC", name)) if segment]


def _words(name: str) -> list[str]:
    """Like `name_tokens`, but known spellings such as sMAPE, mAP50 and rocAUC stay one word."""
    words: list[str] = []
    for segment in _segments(name):
        whole = _without_number(segment.lower())
        parts = [whole] if whole in _KNOWN else _CAMEL.split(segment)
        words.extend(_without_number(part.lower()) for part in parts)
    return words


def _without_number(word: str) -> str:
    stem = word.rstrip("0123456789")
    return stem if word not in _KNOWN and stem in _KNOWN else word


def _contains(words: list[str], phrase: tuple[str, ...]) -> bool:
    return any(tuple(words[i : i + len(phrase)]) == phrase for i in range(len(words) - len(phrase) + 1))


def _depth_direction(values: Iterable[float | None]) -> bool | None:
    signs = {value > 0 for value in values if value is not None and not math.isnan(value) and value != 0}
    return None if len(signs) != 1 else not signs.pop()


_CLOCKWORK = frozenset(
    (
        *("seconds", "second", "time", "duration", "elapsed", "latency", "runtime"),
        *("epoch", "epochs", "step", "steps", "samples", "rows"),
    )
)


def is_clockwork(name: str) -> bool:
    """Say whether a metric tells how long or how much was done rather than how well."""
    return not _CLOCKWORK.isdisjoint(name_tokens(name))
