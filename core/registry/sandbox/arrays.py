"""Arrays as text and back; what comes from a guest is checked before any memory is taken for it."""

from __future__ import annotations

import base64
import binascii
import io
import math
from typing import Any

import numpy as np
from numpy.lib import format as npy


def to_text(array: np.ndarray[Any, Any]) -> str:
    """Return an array in NumPy's format, as base64."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return base64.b64encode(buffer.getvalue()).decode()


def from_text(text: Any) -> np.ndarray[Any, Any]:
    """Read an array that a guest has sent.

    Raises
    ------
    ValueError
        If it is no array, holds objects, or is not as long as it says.
    """
    try:
        stream = io.BytesIO(base64.b64decode(text, validate=True))
        major = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if major == (1, 0) else npy.read_array_header_2_0
        shape, by_column, dtype = read(stream)
    except (TypeError, SyntaxError, RecursionError, binascii.Error, OverflowError) as error:
        raise ValueError("no array") from error
    content = stream.read()
    if dtype.hasobject or dtype.kind not in "biufcSUMm" or any(length < 0 for length in shape):
        raise ValueError(f"an array of {dtype}")
    if dtype.itemsize == 0 or math.prod(shape) * dtype.itemsize != len(content):
        raise ValueError("an array that is not as long as it says")
    array = np.frombuffer(content, dtype)
    return array.reshape(shape, order="F" if by_column else "C")
