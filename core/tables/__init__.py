"""Tables that runs logged: from bytes of an artifact to a frame, its columns' cells as numbers and times."""
