"""Cached calls into the core: the only place that caches.

What is cached takes everything it depends on as arguments. Runs and their tables are not cached here: the
index answers faster than Streamlit's cache could copy.
"""

from __future__ import annotations

import io

import polars as pl
import streamlit as st

from core.runs.artifacts.previews import Preview, preview
from core.runs.explorer import Matches
from core.runs.importance import Importance
from core.runs.types import MetricHistory
from core.settings import Settings, read_settings
from core.workspace import Workspace, open_workspace

_FRAME_BYTES = 512 * 2**20


@st.cache_resource(show_spinner=False)
def _workspace(identity: str, _settings: Settings) -> Workspace:
    return open_workspace(_settings)


def workspace() -> Workspace:
    """Return the workspace of the current settings, opened once a process."""
    settings = read_settings()
    return _workspace(repr(settings), settings)


def histories(run_ids: tuple[str, ...], key: str) -> tuple[MetricHistory, ...]:
    """Return full histories; a run is read again only after it has changed."""
    opened = workspace()
    snapshot = opened.runs.snapshot()
    digests = tuple(snapshot.frame["digest"][snapshot.place(run_id)] for run_id in run_ids)
    return _histories(opened.address.key, run_ids, key, digests)


@st.cache_data(show_spinner=False, max_entries=256)
def _histories(
    store: str, run_ids: tuple[str, ...], key: str, digests: tuple[int, ...]
) -> tuple[MetricHistory, ...]:
    return workspace().runs.histories(run_ids, key)


def importance(matches: Matches, metric: str) -> Importance:
    """Return which params move a metric; computed once for the same matches."""
    store = workspace().address.key
    return _importance(store, matches.snapshot.generation, matches.places.tobytes(), metric, matches)


@st.cache_data(show_spinner="Training a forest on the matching runs", max_entries=32)
def _importance(store: str, generation: int, places: bytes, metric: str, _matches: Matches) -> Importance:
    return workspace().runs.importance(_matches, metric)


@st.cache_data(show_spinner="Reading the artifact", max_entries=32, ttl=300)
def artifact_preview(store: str, run_id: str, path: str, size: int | None, max_bytes: int) -> Preview:
    """Read the beginning of an artifact and turn it into something to look at."""
    runs = workspace().runs
    content, truncated = runs.artifacts(runs.run(run_id)).head(path, max_bytes)
    return preview(path, content, truncated)


def as_csv(frame: pl.DataFrame) -> bytes:
    """Return a table as CSV, as Excel opens it."""
    return b"\xef\xbb\xbf" + frame.write_csv().encode()


def as_parquet(frame: pl.DataFrame) -> bytes:
    """Return a table as Parquet."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
