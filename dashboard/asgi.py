"""The ASGI app that `greenroom up` serves."""

from pathlib import Path

import streamlit as st

app = st.App(Path(__file__).parent / "app.py")
