"""A field for a file: its path on the machine of the worker, or an upload."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.errors import GreenroomError
from dashboard import data
from dashboard.formats import escape_markdown, file_size
from dashboard.widgets import states


def draw(label: str, text: str, help: str, key: str, disabled: bool, before: tuple[str, ...] = ()) -> str:
    """Draw the field, beside it what was used before and the button that uploads, and return the path."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        # The field comes first, but what is uploaded must be known before it is drawn.
        place = st.container()
        with st.popover("Upload", icon=":material/upload:", disabled=disabled, key=f"{key}:open"):
            _upload(key)
        if before:
            with st.popover("Used before", icon=":material/history:", disabled=disabled, key=f"{key}:before"):
                _used_before(before, key)
        st.session_state.setdefault(key, text)
        path = place.text_input(
            label,
            key=key,
            help=help,
            disabled=disabled,
            placeholder="/path/to/file on the machine that trains, or upload one",
        )
    path = (path or "").strip()
    _there(path)
    return path


def _used_before(before: tuple[str, ...], key: str) -> None:
    for at, path in enumerate(before):
        st.button(
            escape_markdown(Path(path).name or path),
            key=f"{key}:before:{at}",
            type="tertiary",
            help=escape_markdown(path),
            on_click=lambda chosen=path: st.session_state.update({key: chosen}),
        )


def _upload(key: str) -> None:
    sent = st.file_uploader(
        "A file from this computer",
        key=f"{key}:upload",
        help="It is kept in Greenroom's home folder, where jobs read it.",
    )
    if sent is None or st.session_state.get(f"{key}:uploaded") == sent.file_id:
        return
    workspace = data.workspace()
    try:
        kept = workspace.training.keep_upload(sent.name, sent.getvalue(), workspace.actor())
    except GreenroomError as error:
        states.failed(error)
        return
    st.session_state[f"{key}:uploaded"] = sent.file_id
    st.session_state[key] = str(kept)


def _there(path: str) -> None:
    """Say how large a local file is; that it is not there is said by the form."""
    try:
        size = Path(path).expanduser().stat().st_size if path and Path(path).expanduser().is_file() else None
    except (OSError, RuntimeError, ValueError):
        return
    if size is not None:
        st.caption(f"✓ {escape_markdown(Path(path).name)}, {file_size(size)}")
