"""Put into one sentence what became of a guest."""

from __future__ import annotations

import importlib.util
import signal
from collections.abc import Mapping
from typing import Any

from core.registry.sandbox.types import Layers, Limits

_QUOTED = 300
_MOST_LAYERS = 10_000
_LAST_WORDS = 2_000


def of_error(message: Mapping[str, Any], hint: str = "") -> str:
    """Say why a guest could not load or predict, as it says itself."""
    package = str(message.get("missing") or "").partition(".")[0]
    if package.isidentifier() and len(package) <= 80 and not _installed(package):
        return f"It needs the package {package}, which is not installed where Greenroom runs."
    what = "loaded" if message.get("stage") == "load" else "asked"
    return f"It could not be {what}: {quoted(message.get('error'))}{hint}"


def of_end(report: Mapping[str, Any], limits: Limits) -> str | None:
    """Say how a guest ended; None if it was not stopped and did not end by itself."""
    if report["ended"] == "unprotected":
        why = report.get("failed") or "neither another user nor Landlock can be had"
        return f"It was not run, because it cannot be walled in on this machine: {str(why)[:_QUOTED]}."
    if report["ended"] == "exited":
        status = int(report["status"])
        if report["by_signal"]:
            return f"It was ended by {_signal(status)} before it had answered."
        return f"It ended by itself with exit code {status} before it had answered."
    return of_limit(report, limits)


def of_limit(report: Mapping[str, Any], limits: Limits) -> str | None:
    """Say which limit was passed; None if none was."""
    if report.get("left_over"):
        return "Not all of its processes could be ended: look for them on this machine."
    return {
        "seconds": f"It had not finished after {limits.seconds:g} s and was stopped.",
        "memory_mb": f"It took more than {limits.memory_mb:,} MB of memory and was stopped.",
        "file_mb": f"It wrote more than {limits.file_mb:,} MB and was stopped.",
        "processes": f"It started more than {limits.processes:,} processes and was stopped.",
    }.get(str(report.get("limit")))


def last_words(report: Mapping[str, Any]) -> str:
    """Return the end of what the guest has printed."""
    return str(report.get("last_words", ""))[-_LAST_WORDS:]


def quoted(text: Any) -> str:
    """Return the first line of what a guest said, in quotation marks."""
    line = next(iter(str(text).strip().splitlines()), "")
    shown = "".join(one if one.isprintable() else " " for one in line[:_QUOTED])
    return f"“{shown}{'…' if len(line) > _QUOTED else ''}”"


def layers(said: Any) -> Layers:
    """Read names and shapes that a guest sent; () where they are nothing of the kind."""
    try:
        return tuple(
            (str(name)[:200], tuple(int(length) for length in shape)) for name, shape in said[:_MOST_LAYERS]
        )
    except (TypeError, ValueError, KeyError, OverflowError):
        return ()


def dimension(said: Any) -> int | None:
    """Read how many numbers a space has, from what a guest sent or a file says."""
    try:
        shape = said["shape"]
        product = 1
        for length in shape[:8]:
            product *= int(length)
    except (TypeError, ValueError, KeyError, OverflowError):
        return None
    return product


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
