"""The router: page set-up, navigation, freshness, and one place where errors become sentences."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.errors import GreenroomError
from dashboard import data
from dashboard.widgets import freshness, states

# Pages that have something to say where no run was ever read. Streamlit would draw a string here.
_WITHOUT_RUNS = ("Training", "Health")


def main() -> None:
    """Draw the chosen page."""
    st.set_page_config(
        page_title="Greenroom", page_icon=str(Path(__file__).parent / "icon.png"), layout="wide"
    )
    pages = [
        st.Page("views/overview.py", title="Overview", icon=":material/home:", default=True),
        st.Page("views/runs.py", title="Runs", icon=":material/table_rows:"),
        st.Page("views/run.py", title="Run", icon=":material/description:"),
        st.Page("views/compare.py", title="Compare", icon=":material/compare_arrows:"),
        st.Page("views/backtests.py", title="Backtests", icon=":material/monitoring:"),
        st.Page("views/stores.py", title="Stores", icon=":material/storefront:"),
        st.Page("views/registry.py", title="Registry", icon=":material/inventory_2:"),
        st.Page("views/approvals.py", title="Approvals", icon=":material/fact_check:"),
        st.Page("views/training.py", title="Training", icon=":material/model_training:"),
        st.Page("views/audit.py", title="Audit", icon=":material/history:"),
        st.Page("views/health.py", title="Health", icon=":material/monitor_heart:"),
    ]
    page = st.navigation(pages, position="top")
    try:
        workspace = data.workspace()
        if freshness.ready(workspace, needed=page.title not in _WITHOUT_RUNS):
            page.run()
        freshness.watch(workspace)
    except GreenroomError as error:
        states.failed(error)


main()
