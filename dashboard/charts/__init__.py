"""Charts: view values in, Plotly or Altair figures out; no Streamlit here, and every payload is bounded."""
