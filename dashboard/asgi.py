"""The ASGI app that `greenroom up` serves."""

from pathlib import Path

import streamlit as st

from core.backtests import libraries
from core.runs import filters

# The first visitor shall not wait for MLflow's parser, nor for what measures backtests. Not in a thread: two
# threads that import pandas at the same time can each see half of it.
filters.warm_up()
libraries.warm_up()

app = st.App(Path(__file__).parent / "app.py")
