"""Office files behind a password: decrypted into a temporary folder, read, forgotten."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.documents.archive import damaged
from app.documents.errors import DocumentError


@contextmanager
def decrypted(path: Path, password: str) -> Iterator[Path]:
    """Give the path of a decrypted copy of an encrypted docx, pptx or xlsx.

    Raises:
        DocumentError: wrong_password, damaged.
    """
    import msoffcrypto
    from msoffcrypto.exceptions import DecryptionError, FileFormatError, InvalidKeyError

    with tempfile.TemporaryDirectory(prefix="ragloom-") as folder:
        copy = Path(folder) / "document"
        try:
            with path.open("rb") as source, copy.open("wb") as target:
                file = msoffcrypto.OfficeFile(source)
                file.load_key(password=password, verify_password=True)
                file.decrypt(target)
        except (InvalidKeyError, DecryptionError) as error:
            raise DocumentError(
                "wrong_password", "The password does not open this file.", "Give the right one."
            ) from error
        except (FileFormatError, OSError, ValueError, KeyError, IndexError) as error:
            raise damaged(
                "The file cannot be decrypted: it is damaged, or encrypted in a way that is rare."
            ) from error
        yield copy
