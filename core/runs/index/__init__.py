"""The run index: a columnar copy of a tracking store, kept fresh, that answers in milliseconds."""
