"""Writes ONNX models: the few messages of the format that an encoder needs, in protobuf's wire form.

Field numbers and enumerations are those of onnx.proto (https://github.com/onnx/onnx).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_IR_VERSION = 8
_OPSET = 17
#: Domain of onnxruntime's own operators.
MICROSOFT = "com.microsoft"
_TYPES = {"float32": 1, "uint8": 2, "int64": 7}
_FLOAT = _TYPES["float32"]


class OnnxWriter:
    """Collects nodes and weights of one graph with one input and one output, both float32."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def weight(self, name: str, array: np.ndarray) -> str:
        """Add a constant (float32, uint8 or int64); returns its name."""
        fields = b"".join(_number(1, size) for size in array.shape)
        fields += _number(2, _TYPES[array.dtype.name]) + _text(8, name)
        self._parts.append(_bytes(5, fields + _bytes(9, array.tobytes())))
        return name

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        *,
        domain: str = "",
        **attributes: float | Sequence[int],
    ) -> None:
        """Add an operation; nodes are added in the order in which they run."""
        fields = b"".join(_text(1, name) for name in inputs)
        fields += b"".join(_text(2, name) for name in outputs) + _text(4, op)
        fields += b"".join(_bytes(5, _attribute(name, value)) for name, value in attributes.items())
        self._parts.append(_bytes(1, fields + _text(7, domain)))

    def model(
        self,
        entry: tuple[str, Sequence[int | str]],
        result: tuple[str, Sequence[int | str]],
    ) -> bytes:
        """The whole model; `entry` and `result` are (name, shape), a named size is free."""
        graph = b"".join(self._parts) + _text(2, "model")
        graph += _bytes(11, _value(*entry)) + _bytes(12, _value(*result))
        opsets = b"".join(
            _bytes(8, _text(1, domain) + _number(2, version))
            for domain, version in (("", _OPSET), (MICROSOFT, 1))
        )
        return _number(1, _IR_VERSION) + _bytes(7, graph) + opsets


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())


def _attribute(name: str, value: float | Sequence[int]) -> bytes:
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, 2)
    if isinstance(value, float):
        return _text(1, name) + _varint(2 << 3 | 5) + struct.pack("<f", value) + _number(20, 1)
    return _text(1, name) + b"".join(_number(8, one) for one in value) + _number(20, 7)


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    sizes = b"".join(
        _bytes(1, _text(2, size) if isinstance(size, str) else _number(1, size)) for size in shape
    )
    tensor = _number(1, _FLOAT) + _bytes(2, sizes)
    return _text(1, name) + _bytes(2, _bytes(1, tensor))
