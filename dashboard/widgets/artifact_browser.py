"""Browse a run's artifacts: folders, previews, download. Nothing is executed and no markup is drawn."""

from __future__ import annotations

import json
import shlex

import streamlit as st

from core.errors import GreenroomError
from core.runs.artifacts.access import RunArtifacts
from core.runs.artifacts.entries import ArtifactEntry
from core.runs.artifacts.previews import (
    ImagePreview,
    JsonPreview,
    Preview,
    TablePreview,
    TextPreview,
    preview_limit,
)
from core.runs.types import Run
from dashboard import data
from dashboard.formats import escape_markdown, file_size
from dashboard.widgets import states

_PATH = "path"


def draw(run: Run) -> None:
    """Draw the browser at the folder that the URL names."""
    artifacts = data.workspace().runs.artifacts(run)
    path = st.query_params.get(_PATH, "")
    try:
        entry = artifacts.stat(path) if path else None
        folder = path if entry is None or entry.is_dir else path.rpartition("/")[0]
        found = artifacts.list(folder)
    except GreenroomError as error:
        _lost(artifacts, path, error)
        return
    left, right = st.columns([1, 2])
    with left:
        _breadcrumbs(folder)
        for note in found.notes:
            st.caption(escape_markdown(note))
        if not len(found):
            st.caption("This folder is empty." if folder else "This run logged no artifacts.")
            return
        chosen = _choose(list(found), entry)
        if found.left_out:
            st.caption(f"{found.left_out:,} more entries are not shown.")
    with right:
        if chosen is not None and not chosen.is_dir:
            _show(artifacts, run, chosen)
        else:
            st.caption("Choose a file to look at it.")


def _lost(artifacts: RunArtifacts, path: str, error: GreenroomError) -> None:
    if not path and artifacts.location.none_logged:
        states.empty("This run logged no artifacts.")
        return
    states.failed(error)
    if path and st.button("Back to all artifacts", key="artifact_root"):
        _go("")


def _go(path: str) -> None:
    if path:
        st.query_params[_PATH] = path
    elif _PATH in st.query_params:
        del st.query_params[_PATH]
    st.rerun()


def _breadcrumbs(folder: str) -> None:
    if not folder:
        return
    with st.container(horizontal=True, gap="small"):
        if st.button("Artifacts", key="crumb", type="tertiary"):
            _go("")
        parts = folder.split("/")
        for depth, part in enumerate(parts, start=1):
            if st.button(f"/ {escape_markdown(part)}", key=f"crumb_{depth}", type="tertiary"):
                _go("/".join(parts[:depth]))


def _choose(entries: list[ArtifactEntry], current: ArtifactEntry | None) -> ArtifactEntry | None:
    paths = [entry.path for entry in entries]
    by_path = dict(zip(paths, entries, strict=True))
    # The first file is shown without being asked for.
    first = next((path for path in paths if not by_path[path].is_dir), None)
    opened = current.path if current is not None and current.path in by_path else first
    at = paths.index(opened) if opened is not None else None
    picked = st.radio(
        "Files",
        paths,
        index=at,
        key=f"artifact:{entries[0].path.rpartition('/')[0]}",
        format_func=lambda path: _label(by_path[path]),
        label_visibility="collapsed",
    )
    if picked is None:
        return None
    entry = by_path[picked]
    if entry.path != opened:
        _go(entry.path)
    return entry


def _label(entry: ArtifactEntry) -> str:
    name = escape_markdown(entry.name)
    if entry.is_dir:
        return f":material/folder: {name}"
    return f":material/draft: {name}  :gray[{file_size(entry.size)}]"


def _show(artifacts: RunArtifacts, run: Run, entry: ArtifactEntry) -> None:
    st.markdown(f"**{escape_markdown(entry.name)}** · {file_size(entry.size)}")
    if not entry.readable:
        st.warning(escape_markdown(entry.note), icon=":material/block:")
        return
    workspace = data.workspace()
    _download(artifacts, entry, workspace.settings.max_download_mb * 2**20, run)
    limit = min(preview_limit(entry.path), workspace.settings.max_preview_mb * 2**20)
    try:
        seen = data.artifact_preview(workspace.address.key, run.run_id, entry.path, entry.size, limit)
    except GreenroomError as error:
        states.failed(error)
        return
    _draw(seen)


def _download(artifacts: RunArtifacts, entry: ArtifactEntry, limit: int, run: Run) -> None:
    if entry.size is not None and entry.size > limit:
        st.info(
            f"It is larger than the {file_size(limit)} that a page hands over. Fetch it with MLflow:",
            icon=":material/info:",
        )
        st.code(
            f"mlflow artifacts download --run-id {run.run_id} --artifact-path {shlex.quote(entry.path)}",
            language="bash",
        )
        return
    st.download_button(
        "Download",
        lambda: artifacts.read(entry.path, limit),
        file_name=entry.name,
        mime="application/octet-stream",
        icon=":material/download:",
        key=f"download:{entry.path}",
        on_click="ignore",
    )


def _draw(seen: Preview) -> None:
    if seen.note:
        st.caption(escape_markdown(seen.note))
    if isinstance(seen, TablePreview):
        rows = "" if seen.total_rows is None else f" of {seen.total_rows:,}"
        st.caption(
            f"{len(seen.frame):,}{rows} rows, {len(seen.frame.columns):,} of {seen.total_columns:,} columns"
        )
        st.dataframe(seen.frame, key="artifact_table")
    elif isinstance(seen, ImagePreview):
        st.image(seen.data, width="content", alt="The image that the run logged")
    elif isinstance(seen, JsonPreview):
        text = json.dumps(seen.value, indent=2, ensure_ascii=False, default=str)
        st.code(text, language=None, height=500 if len(text) > 2_000 else "content")
    elif isinstance(seen, TextPreview):
        st.code(
            seen.text,
            language=None,
            line_numbers=True,
            height=500 if len(seen.text) > 2_000 else "content",
        )
