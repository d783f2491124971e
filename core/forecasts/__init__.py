"""Forecast quality of every store: logged tables read, measured, put into bands, compared between pipelines."""
