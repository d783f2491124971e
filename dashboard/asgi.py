"""The ASGI app that `greenroom up` serves: the pages, and the REST API under /api."""

from pathlib import Path

import streamlit as st
from starlette.routing import Mount

from core.api.app import create_app
from core.warm_up import warm_up
from core.workspace import Workspace

# The first visitor shall not wait for it.
warm_up()


def _workspace() -> Workspace:
    """Return the workspace of the pages."""
    # Imported when first asked: what it caches with looks for Streamlit's runtime, which is not there yet.
    from dashboard import data

    return data.workspace()


app = st.App(Path(__file__).parent / "app.py", routes=[Mount("/api", create_app(_workspace))])
