"""Pages run by Streamlit's own test harness, on stores of their own."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

APP = str(Path(__file__).resolve().parents[2] / "dashboard" / "app.py")
OpenApp = Callable[..., AppTest]


@pytest.fixture(scope="session", autouse=True)
def _components_are_looked_for_once() -> Iterator[None]:
    """Streamlit looks through all installed packages for each AppTest: that would be half of a test's time."""
    with pytest.MonkeyPatch.context() as patch:
        found = functools.cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", found)
        yield


@pytest.fixture
def open_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenApp]:
    """Open a page on a store: ``open_app(uri, "runs", q="metrics.loss < 1")``."""

    def app(uri: str | None, page: str = "overview", **query: str) -> AppTest:
        monkeypatch.setenv("GREENROOM_HOME", str(tmp_path / "greenroom"))
        if uri is None:
            monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        else:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        at = AppTest.from_file(APP, default_timeout=60)
        at.run()
        if page != "overview" or query:
            at.query_params.clear()
            for key, value in query.items():
                at.query_params[key] = value
            at.switch_page(f"views/{page}.py").run()
        return at

    yield app
    from core.errors import GreenroomError
    from dashboard import data

    with contextlib.suppress(GreenroomError):
        data.workspace().close()
    st.cache_resource.clear()
    st.cache_data.clear()


def texts(at: AppTest) -> str:
    """Return everything that the page says, in one string."""
    parts = [*at.markdown, *at.error, *at.warning, *at.info, *at.caption, *at.code, *at.subheader]
    return "\n".join(str(part.value) for part in parts)
