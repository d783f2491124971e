"""Hold a conversation with a guest behind walls, and put what became of it into a trial."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from core.registry.sandbox import answers, verdict
from core.registry.sandbox.arrays import from_text
from core.registry.sandbox.described import Field
from core.registry.sandbox.questions import Question, UnaskableError
from core.registry.sandbox.session import GoneError, NoiseError, Place, Reads, Session
from core.registry.sandbox.types import Limits, Trial

_MADE_UP = " (its inputs were made up from its signature; log it with an input example if they do not fit it)"
_LONGEST_SHOWN = 4_000


class FailedError(Exception):
    """The model does not pass; the message is one sentence for people."""


def run(
    place: Place,
    job: Mapping[str, Any],
    limits: Limits,
    reads: Reads,
    started: float,
    converse: Callable[[Session, dict[str, Any]], str],
) -> Trial:
    """Hold a conversation with a guest and put what became of it into a trial without kind and structure.

    ``converse`` returns the sentence of success and raises one of this package's errors otherwise; what it puts into
    the evidence it is given is kept.
    """
    evidence: dict[str, Any] = {"questions": [], "structure": {}}
    spent = time.monotonic() - started
    if spent > limits.seconds:
        reason = f"Copying its files alone took longer than {limits.seconds:g} s."
        return Trial(False, reason, None, spent, evidence=evidence)
    session = Session(place, job, limits, reads, spent)
    reason, passed, gone = "", False, False
    try:
        reason = converse(session, evidence)
        passed = True
    except GoneError:
        gone = True
    except (NoiseError, UnaskableError, answers.WrongError, FailedError) as error:
        reason = str(error)
    except RecursionError:
        reason = "Its input example is nested too deeply to be sent."
    finally:
        report = session.close("gone" if gone else "done")
    if gone:
        shut = "It shut the pipe through which it answers before it had answered."
        reason = verdict.of_end(report, limits) or shut
    elif (limit := verdict.of_limit(report, limits)) is not None:
        reason, passed = limit, False
    said = {"last_words": verdict.last_words(report), "error": evidence.pop("error", None)}
    peaks = report.get("peaks", {})
    evidence |= {
        "walls": report["walls"],
        "peak_memory_mb": round(float(peaks.get("memory_mb", 0.0)), 1),
        "peak_file_mb": round(float(peaks.get("file_mb", 0.0)), 1),
        "peak_processes": int(peaks.get("processes", 0)),
        "said_by_the_model": {name: text for name, text in said.items() if text},
    }
    return Trial(passed, reason, None, time.monotonic() - started, evidence=evidence)


def loaded(session: Session, evidence: dict[str, Any]) -> Mapping[str, Any]:
    """Wait until the guest says that it has loaded, and return what it says it is made of."""
    hello = session.listen()
    if "error" in hello:
        evidence["error"] = str(hello["error"])[:2000]
        raise FailedError(verdict.of_error(hello))
    said = hello.get("structure")
    if hello.get("loaded") is not True or not isinstance(said, dict):
        raise NoiseError("It sent something else than that it has loaded.")
    evidence["structure"] = said
    return said


def ask(session: Session, question: Question, outputs: tuple[Field, ...], evidence: dict[str, Any]) -> None:
    """Ask a question and judge the answer; both go into the evidence."""
    answer = session.ask(question.message)
    if "error" in answer:
        evidence["error"] = str(answer["error"])[:2000]
        raise FailedError(verdict.of_error(answer, _MADE_UP if question.source == "its signature" else ""))
    judged = answers.judge(question, answer, outputs)
    evidence["questions"].append(
        {**judged, "inputs_from": question.source, "inputs": _shown(question.message)}
    )


def _shown(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a question as people read it; a long one by its shape only."""
    if message["form"] == "tensors":
        return {"tensors": {str(name): _shown_array(text) for name, text in message["parts"].items()}}
    if message["form"] == "tensor":
        return _shown_array(message["npy"])
    values = message["data"] if message["form"] == "table" else message["value"]
    body = {"columns": message.get("columns"), "values": values}
    return body if len(json.dumps(body)) <= _LONGEST_SHOWN else {"columns": body["columns"]}


def _shown_array(text: str) -> dict[str, Any]:
    array = from_text(text)
    body = {"type": str(array.dtype), "shape": list(array.shape)}
    return body if len(text) > _LONGEST_SHOWN else {**body, "values": array.astype(str).tolist()}
