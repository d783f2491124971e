"""Numbers, times and names as people read them; pure, no Streamlit."""

from __future__ import annotations

import math
import re
import sys
from datetime import UTC, datetime, tzinfo

MISSING = "–"

# MLflow's SQL stores cannot hold infinity and write the largest float instead.
_LARGEST = sys.float_info.max

_AGES = (("y", 365 * 86_400, 730 * 86_400), ("d", 86_400, 86_400), ("h", 3600, 3600), ("min", 60, 60))
_SIZES = (("kB", 10**3), ("MB", 10**6), ("GB", 10**9), ("TB", 10**12))
_STATUS_LABELS = {
    "RUNNING": "● Running",
    "SCHEDULED": "◷ Scheduled",
    "FINISHED": "✓ Finished",
    "FAILED": "✕ Failed",
    "KILLED": "■ Killed",
}
_HASH_VERDICTS = {
    "verified": "✓ verified",
    "mismatch": "✕ does not match",
    "unverified": "· one of the two is missing",
    "missing": "– not recorded",
}
_BAND_LABELS = {
    "excellent": "● Excellent",
    "good": "■ Good",
    "fair": "◆ Fair",
    "poor": "✚ Poor",
    "unknown": "○ Unknown",
    "failed": "✕ Failed",
}
_STAGE_LABELS = {
    "None": "○ None",
    "Staging": "◐ Staging",
    "Production": "★ Production",
    "Archived": "□ Archived",
}
_ACTION_SIGNS = {
    "registered": "+",
    "requested": "?",
    "approved": "✓",
    "rejected": "✕",
    "withdrawn": "←",
    "lapsed": "◌",
    "promoted": "▲",
    "rolled back": "↶",
    "archived": "□",
    "settled": "=",
    "first seen": "◦",
    "changed outside": "⚑",
    "deleted outside": "⚑",
    "given up after an interruption": "✕",
    "abandoned after an interruption": "✕",
}
_REQUEST_LABELS = {
    "waiting": "◷ Waiting",
    "approved": "✓ Approved",
    "rejected": "✕ Rejected",
    "withdrawn": "← Withdrawn",
    "lapsed": "◌ Lapsed",
    "promoted": "★ Promoted",
}
_JOB_LABELS = {
    "queued": "◷ Queued",
    "running": "● Running",
    "stopping": "◼ Stopping",
    "finished": "✓ Finished",
    "failed": "✕ Failed",
    "stopped": "■ Stopped",
    "lost": "⚠ Lost",
}
_OUTCOME_LABELS = {
    "staged": "✓ Staged",
    "refused": "◌ Refused",
    "failed": "✕ Failed",
    "stopped": "■ Stopped",
}
_VERDICT_LABELS = {
    "better": "▲ Better",
    "same": "= Same",
    "worse": "▼ Worse",
    "first": "◦ First",
    "unknown": "? Unknown",
}
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def number(x: float | None) -> str:
    """Write a number with four significant digits and thousands separated.

    Whole numbers keep all their digits. A missing number (None) is a dash; NaN was logged as such and says
    so. MLflow's SQL stores write infinity as ±1.797e308, which is shown as infinity.
    """
    if x is None:
        return MISSING
    x = float(x)
    if math.isnan(x):
        return "NaN"
    if abs(x) >= _LARGEST:
        return "∞" if x > 0 else "-∞"
    if x == 0:
        return "0"
    if x.is_integer() and abs(x) < 1e15:
        return f"{x:,.0f}"
    rounded = float(f"{x:.4g}")
    if not 1e-4 <= abs(rounded) < 1e15:
        mantissa, exponent = f"{x:.3e}".split("e")
        return f"{_trimmed(mantissa)}e{int(exponent)}"
    if abs(rounded) >= 1000:
        return f"{x:,.0f}"
    return _trimmed(f"{x:.{3 - math.floor(math.log10(abs(rounded)))}f}")


def percent(fraction: float | None) -> str:
    """Write a fraction as a percentage: 0.1234 is 12.3%, below one percent 0.12%."""
    if fraction is None or not math.isfinite(fraction) or abs(fraction) >= _LARGEST / 100:
        return number(fraction)
    value = fraction * 100
    if abs(value) < 0.01:
        return f"{number(value)}%"
    decimals = 2 if abs(value) < 0.995 else 1 if abs(value) < 999.5 else 0
    return f"{value:,.{decimals}f}%"


def delta(x: float | None, higher_is_better: bool | None = None) -> str:
    """Write a change with its sign and what it means: "+0.012 better", "-3 worse", "0 same".

    Without `higher_is_better` no judgement is made. The text starts with the sign, as `st.metric` expects.
    """
    text = number(x)
    if x is None or math.isnan(x):
        return text
    signed = f"+{text}" if x > 0 else text
    if higher_is_better is None:
        return signed
    return f"{signed} {'same' if x == 0 else 'better' if (x > 0) == higher_is_better else 'worse'}"


def duration(seconds: float | None) -> str:
    """Write a duration by its two largest units: 850 ms, 12.4 s, 4 min 05 s, 1 h 04 min, 2 d 3 h."""
    if seconds is None or not math.isfinite(seconds):
        return number(seconds)
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds == 0:
        return "0 s"
    if seconds < 0.9995:
        milliseconds = round(seconds * 1000)
        return f"{milliseconds} ms" if milliseconds else "<1 ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 24:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{count(days, 'd', 'd')} {hours} h"


def ago(time: datetime | None, now: datetime) -> str:
    """Write how long ago a time was: just now, 5 min ago, 3 h ago, 12 d ago, 2 y ago; ahead: in 5 min."""
    if time is None:
        return MISSING
    seconds = (_aware(now) - _aware(time)).total_seconds()
    distance = abs(seconds)
    if distance < 60:
        return "just now"
    unit, size = next((unit, size) for unit, size, least in _AGES if distance >= least)
    text = f"{int(distance // size)} {unit}"
    return f"{text} ago" if seconds > 0 else f"in {text}"


def local_time(time: datetime | None, zone: tzinfo | None = None) -> str:
    """Write a time to the minute in `zone`, by default this machine's; without a zone it is taken as UTC."""
    return MISSING if time is None else f"{_aware(time).astimezone(zone):%Y-%m-%d %H:%M}"


def exact_time(time: datetime | None, zone: tzinfo | None = None) -> str:
    """Write a time to the second with its zone, for hover texts."""
    return MISSING if time is None else f"{_aware(time).astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def file_size(size: int | None) -> str:
    """Write a number of bytes in decimal units: 512 B, 12.4 kB, 3.2 MB."""
    if size is None:
        return MISSING
    if size < 1000:
        return f"{size} B"
    unit, power = next((unit, power) for unit, power in _SIZES if size < 999.95 * power or unit == "TB")
    return f"{size / power:,.1f} {unit}"


def short_id(run_id: str) -> str:
    """Shorten an id to its first eight characters."""
    return run_id[:8]


def count(n: int, noun: str, plural: str | None = None) -> str:
    """Write a count with its noun: 1 run, 12,345 runs, 2 queries, 3 batches."""
    if abs(n) == 1:
        return f"{n} {noun}"
    if plural is None:
        if noun.endswith(("s", "x", "z", "ch", "sh")):
            plural = f"{noun}es"
        elif noun.endswith("y") and noun[-2:-1] not in "aeiou":
            plural = f"{noun[:-1]}ies"
        else:
            plural = f"{noun}s"
    return f"{n:,} {plural}"


def status_label(status: str | None) -> str:
    """Name a run's status with a sign and a word, so that it never depends on colour."""
    return _labelled(status, _STATUS_LABELS)


def stage_label(stage: str | None) -> str:
    """Name a model version's stage with a sign and a word; None is MLflow's stage "None"."""
    return _labelled("None" if stage is None else stage, _STAGE_LABELS)


def hash_verdict(verdict: str) -> str:
    """Name what came of comparing a short hash with the full one, with a sign and words."""
    return _HASH_VERDICTS.get(verdict, verdict)


def action_label(action: str) -> str:
    """Name what was done to a model with a sign and a word."""
    return f"{_ACTION_SIGNS.get(action, '·')} {action[:1].upper()}{action[1:]}"


def request_label(state: str) -> str:
    """Name where a promotion request stands with a sign and a word."""
    return _labelled(state, _REQUEST_LABELS)


def job_label(state: str) -> str:
    """Name where a job stands with a sign and a word."""
    return _labelled(state, _JOB_LABELS)


def outcome_label(outcome: str | None) -> str:
    """Name how a retraining ended with a sign and a word; None is one that goes on."""
    return "● Under way" if outcome is None else _labelled(outcome, _OUTCOME_LABELS)


def verdict_label(word: str) -> str:
    """Name how a challenger does against the champion with a sign and a word."""
    return _labelled(word, _VERDICT_LABELS)


def done_of(done: float, total: float, what: str) -> str:
    """Write how far something is: 3 of 45 stores; words that count already stay as they are."""
    if any(character.isdigit() for character in what):
        return what
    counted = f"{number(done)} of {number(total)}" if total > 0 else number(done)
    return f"{counted} {what}".rstrip()


def time_left(seconds: float | None) -> str:
    """Write how long something will take yet, no more exactly than is known: 40 s left, 2 min left."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    if seconds < 60:
        return f"{max(math.ceil(seconds), 1)} s left"
    if seconds < 3570:
        return f"{round(seconds / 60)} min left"
    return f"{duration(seconds)} left"


def weekday_time(time: datetime, zone: tzinfo | None = None) -> str:
    """Write a time of the days around now: Tue 14:05."""
    local = _aware(time).astimezone(zone)
    return f"{_WEEKDAYS[local.weekday()]} {local:%H:%M}"


def band_label(band: str | None) -> str:
    """Name a quality band with a sign and a word, so that it never depends on colour."""
    return _labelled(band, _BAND_LABELS)


def points(value: float | None) -> str:
    """Write a number that is in percent already with three significant digits or two decimals: 9.11%, 123%."""
    if value is None or not math.isfinite(value) or abs(value) >= 99.95:
        return percent(None if value is None else value / 100)
    return f"{value:.2f}%"


def shortened(text: str, length: int) -> str:
    """Cut the middle out of a text longer than `length`: names differ at their ends."""
    if len(text) <= length:
        return text
    head = length // 2
    return f"{text[:head]}…{text[len(text) - (length - head - 1) :]}"


def wrappable(text: str) -> str:
    """Let a narrow table break long words, such as paths, by zero-width spaces: it does not do so by itself."""
    return re.sub(r"\S{24,}", lambda word: re.sub(r"(\S{12})(?=\S)", "\\1\u200b", word[0]), text)


def _trimmed(text: str) -> str:
    """Drop the zeros that end a decimal fraction."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _labelled(name: str | None, labels: dict[str, str]) -> str:
    if not name:
        return MISSING
    return labels.get(name, f"? {name}")


_SPECIAL = re.compile(
    r"""
      (?P<split> : (?= [\w+-]+: | material/ | // )   # :smile:  :material/home:  https://
        | (?<= [\w.+-] ) @ (?= \w )                  # ana@example.com
        | (?<= (?i:www) ) \.                         # www.example.com
        | [-<>~] (?= = ) | < (?= - ) | - (?= [->] )  # <= >= ~= <- -> --
      )
    | (?P<escape> [\\`*\[\]<~$&|{]
        | (?<! [^\W_] ) _ | _ (?! [^\W_] )           # within a word an underscore is only itself
        | : (?! [\s\d] )                             # a colon before a letter starts a directive
        | ^ [-+] (?= \s | $ ) | ^ [#]+ (?= \s | $ ) | ^ [>=]
      )
    | ^ (?P<item> \d+ ) (?P<mark> [.)] ) (?= \s | $ )
    """,
    re.VERBOSE,
)


def escape_markdown(text: str) -> str:
    r"""Escape a name so that Streamlit's Markdown shows it as it is, on one line.

    For `st.markdown`, captions, labels, help texts, alerts and metrics; not for table cells and the options
    of a select box, which show their text as it is. A backslash is enough for Markdown, HTML, LaTeX and
    colour directives. It is not enough for what Streamlit replaces in the parsed text (emoji shortcodes,
    `:material/...:` icons, arrows, links made of addresses): there the text is split by `:color[...]`
    without a colour, which shows its content as it stands. White space is collapsed, as HTML does.
    """
    return _SPECIAL.sub(_escaped, " ".join(text.split()))


def _escaped(match: re.Match[str]) -> str:
    if match["item"]:
        return f"{match['item']}\\{match['mark']}"
    if match["escape"]:
        return f"\\{match[0]}"
    return f":color[{_SPECIAL_ALONE.get(match[0], match[0])}]"


# Inside the brackets these two would still start HTML and strikethrough.
_SPECIAL_ALONE = {"<": r"\<", "~": r"\~"}
