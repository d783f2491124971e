"""What a run logged: finding its tables, reading them, and deciding what their columns are."""
