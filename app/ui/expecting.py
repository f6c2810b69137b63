"""What a page foresees: that something is gone, or that somebody else was first."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from app.services.problems import speaks_for_itself


class Expecting:
    """A block that may end with an error of one of these codes; without codes, with any error that
    says what to do. Where it does, `error` has it; what nobody foresaw passes through.

    Errors of storage, documents and services share no base class, so `except` cannot name them.
    """

    def __init__(self, *codes: str) -> None:
        self._codes = codes
        self.error: Exception | None = None
        #: The stable code of that error; empty where the block went through.
        self.code = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception) or not speaks_for_itself(error):
            return False
        code = str(getattr(error, "code", ""))
        if self._codes and code not in self._codes:
            return False
        self.error, self.code = error, code
        return True
