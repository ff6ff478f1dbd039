"""Arrow arrays made of their buffers. `pyarrow.array` loads pandas first, to see whether it is given one of its own.

That takes half a second and a hundred megabytes, in every command, worker and executor that has no use for either.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def of_numbers(numbers: npt.NDArray[Any], known: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Numbers where they lie, nothing copied; null where they are not known."""
    numbers = np.ascontiguousarray(numbers)
    kind = pa.from_numpy_dtype(numbers.dtype)
    return pa.Array.from_buffers(kind, len(numbers), [_validity(known), pa.py_buffer(numbers)])


def of_values(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """A few Python values: text, bytes, whole numbers of eight bits, or truth; None is null."""
    known = np.array([value is not None for value in values], np.bool_)
    if pa.types.is_boolean(kind):
        bits = _validity(np.array([bool(value) for value in values], np.bool_))
        return pa.Array.from_buffers(kind, len(values), [_validity(known), bits])
    if pa.types.is_int8(kind):
        return of_numbers(np.array([value or 0 for value in values], np.int8), known)
    texts = [value.encode() if isinstance(value, str) else value or b"" for value in values]
    offsets = np.zeros(len(texts) + 1, np.int32)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    buffers = [_validity(known), pa.py_buffer(offsets), pa.py_buffer(b"".join(texts))]
    return pa.Array.from_buffers(kind, len(values), buffers)


def _validity(known: npt.NDArray[np.bool_] | None) -> pa.Buffer | None:
    return None if known is None else pa.py_buffer(np.packbits(known, bitorder="little"))
