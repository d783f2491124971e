"""Greenroom's pages: Streamlit over the core."""
