"""What surrounds a build: one builder at a time, a quiet MLflow, errors in Greenroom's words."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from core.errors import GreenroomError, SourceError


def open_client(tracking_uri: str) -> MlflowClient:
    """Open a tracking store; a SQLite file that is missing is created."""
    with warnings.catch_warnings():
        # MLflow 3.17 imports its SQL store on first use, and SQLAlchemy 2.1 deprecates what is in it.
        warnings.filterwarnings("ignore", message="The ``noload`` loader strategy is deprecated")
        return MlflowClient(tracking_uri=tracking_uri)


@contextmanager
def only_builder(artifact_root: Path) -> Iterator[None]:
    """Keep a second build with the same artifact root out.

    Raises
    ------
    GreenroomError
        If one is running.
    """
    lock = FileLock(artifact_root / ".greenroom-demo.lock", timeout=0)
    # Without the lock a second build would take the first one for killed and delete its runs.
    try:
        lock.acquire()
    except Timeout as error:
        raise GreenroomError(
            f"Another process is building the demo in {artifact_root}. Wait until it is done, then run again."
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def quiet_mlflow() -> Iterator[None]:
    """Hold back what MLflow and Alembic say on the way, such as each step of creating the tables."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def environment_kept() -> Iterator[None]:
    """Take variables out of the environment again that were set within: clients of MLflow set some."""
    before = set(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - before:
            os.environ.pop(name, None)


@contextmanager
def mlflow_errors_translated() -> Iterator[None]:
    """Turn what MLflow and SQLAlchemy raise into a SourceError that says what to do."""
    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        # SQLAlchemy adds its statement and a link in further lines.
        reason = str(error).partition("\n")[0].strip()
        raise SourceError(
            f"The demo could not be built, the tracking store answered: {reason} "
            "Check the tracking store, then run again: what is half-built is replaced."
        ) from error
