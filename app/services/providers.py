"""Models of other providers, all through litellm: keys, streaming, and errors in plain words.

litellm takes seconds to import; it is loaded by the first call that needs it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from app.engine.problems import ModelUnavailable, RagloomError
from app.services.threads import call

#: Names whose key is known without asking litellm, so that the usual refusal is immediate.
_KEYS = (
    (("gpt-", "chatgpt-", "o1", "o3", "o4", "openai/", "text-embedding-"), "OPENAI_API_KEY"),
    (("claude-", "anthropic/"), "ANTHROPIC_API_KEY"),
    (("mistral/",), "MISTRAL_API_KEY"),
    (("cohere/",), "COHERE_API_KEY"),
    (("voyage/",), "VOYAGE_API_KEY"),
    (("groq/",), "GROQ_API_KEY"),
    (("openrouter/",), "OPENROUTER_API_KEY"),
)
#: Servers on one's own machine: they have a default address and want no key.
_KEYLESS = ("ollama/", "ollama_chat/", "lm_studio/", "llamafile/", "hosted_vllm/", "vllm/")

USE_EXTRACTIVE = "or answer from passages without any model: “extractive” in Generate"
USE_EMBEDDED = "or choose “default” (bge-small-en-v1.5), which is built in"


def _load() -> Any:
    # Its price list would be fetched from the network at import otherwise.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    litellm.telemetry = False
    litellm.suppress_debug_info = True
    litellm.drop_params = True
    # Its own transport leaves connections open behind it.
    litellm.disable_aiohttp_transport = True
    return litellm


async def litellm_module() -> Any:
    """The litellm module, imported in a thread the first time."""
    return await call(_load)


async def check_provider(model: str, *, otherwise: str) -> None:
    """Raise ModelUnavailable unless litellm knows the provider of `model` and its key is set."""
    missing = _missing_known_key(model)
    if missing is None:
        missing = await call(_missing_keys, model, otherwise)
    if missing:
        raise _no_key(model, missing, otherwise)


def _missing_known_key(model: str) -> list[str] | None:
    if model.startswith(_KEYLESS):
        return []
    for prefixes, key in _KEYS:
        if model.startswith(prefixes):
            return [] if os.environ.get(key) else [key]
    return None


def _missing_keys(model: str, otherwise: str) -> list[str]:
    litellm = _load()
    try:
        litellm.get_llm_provider(model)
    except litellm.exceptions.BadRequestError:
        raise unknown_model(model, otherwise) from None
    found = litellm.validate_environment(model)
    return [] if found["keys_in_environment"] else list(found["missing_keys"])


def unknown_model(model: str, otherwise: str) -> ModelUnavailable:
    """The refusal of a name that no provider claims."""
    return ModelUnavailable(
        f"No provider is known for the model “{model}”.",
        fix=f"Write it as provider/model, for example openai/{model} or ollama/{model}, "
        f"{otherwise}.",
        model=model,
    )


def _no_key(model: str, keys: Sequence[str], otherwise: str) -> ModelUnavailable:
    names = " and ".join(keys)
    return ModelUnavailable(
        f"The model “{model}” needs {names}, which is not set.",
        fix=f"Set {names} in the server's environment and start it again, {otherwise}.",
        model=model,
        missing=list(keys),
    )


async def stream_chat(
    messages: Sequence[Mapping[str, str]],
    *,
    model: str,
    temperature: float,
    max_tokens: int,
    timeout_s: float,
    response_format: Mapping[str, Any] | None = None,
    on_usage: Callable[[Mapping[str, float]], None] | None = None,
) -> AsyncIterator[str]:
    """Stream a completion. `timeout_s` is the longest wait for the first and each next piece.

    `on_usage` hears at the end what the provider reported, if it did.
    """
    if model == "extractive":
        raise ModelUnavailable(
            "“extractive” quotes sentences of passages: it cannot write anything else.",
            fix="Choose a language model for this step, such as ollama/llama3.1 on this machine, "
            "or leave the step out.",
            model=model,
        )
    await check_provider(model, otherwise=USE_EXTRACTIVE)
    litellm = await litellm_module()
    try:
        async with asyncio.timeout(timeout_s):
            stream = await litellm.acompletion(
                model=model,
                messages=[dict(message) for message in messages],
                temperature=temperature,
                max_tokens=max_tokens,
                timeout=timeout_s,
                num_retries=0,
                max_retries=0,
                stream=True,
                stream_options={"include_usage": True},
                **({"response_format": dict(response_format)} if response_format else {}),
            )
        pieces = aiter(stream)
        said_something = False
        reported = _Reported(model)
        while True:
            async with asyncio.timeout(timeout_s):
                part = await anext(pieces, None)
            if part is None:
                break
            text = part.choices[0].delta.content if part.choices else None
            if text:
                said_something = True
                yield text
        if on_usage is not None and (usage := await call(reported.usage, stream)):
            on_usage(usage)
        # litellm makes up a last piece when the connection ends before the answer does.
        if getattr(stream, "received_finish_reason", "stop") is None:
            raise _said("cut", model, timeout_s, USE_EXTRACTIVE)
        if not said_something:
            raise _said("nothing", model, timeout_s, USE_EXTRACTIVE)
    except (asyncio.CancelledError, GeneratorExit, RagloomError):
        raise
    except Exception as error:
        raise provider_error(error, model, timeout_s, USE_EXTRACTIVE) from error


class _Reported:
    """Tokens and cost of one completion as the provider itself gave them; nothing is estimated."""

    def __init__(self, model: str) -> None:
        self._model = model

    def usage(self, stream: Any) -> dict[str, float]:
        """{prompt_tokens, completion_tokens, cost_usd}, as far as they are known."""
        found: dict[str, float] = {}
        # What litellm hands out at the end may be counted by itself; its raw pieces are not.
        for piece in getattr(stream, "chunks", ()):
            usage = getattr(piece, "usage", None)
            for name in ("prompt_tokens", "completion_tokens"):
                if number := getattr(usage, name, None):
                    found[name] = float(number)
            if isinstance(cost := getattr(usage, "cost", None), int | float):
                found["cost_usd"] = float(cost)
        if found and "cost_usd" not in found:
            cost = self._price(found)
            if cost is not None:
                found["cost_usd"] = cost
        return found

    def _price(self, usage: Mapping[str, float]) -> float | None:
        """By the price list of litellm, which knows public providers at their own addresses."""
        if any(name.endswith(("_API_BASE", "_BASE_URL")) for name in os.environ):
            return None
        try:
            prompt, completion = _load().cost_per_token(
                model=self._model,
                prompt_tokens=int(usage.get("prompt_tokens", 0)),
                completion_tokens=int(usage.get("completion_tokens", 0)),
            )
        except Exception:  # it raises whatever it likes for a model without a price
            return None
        return float(prompt + completion)


#: What litellm raises, by the name of its class -> (code, what happened, what to do).
_ERRORS: dict[str, tuple[str, str, str]] = {
    "timeout": (
        "provider_timeout",
        "The model “{model}” did not answer within {timeout:g} s.",
        "Try again, or raise the time limit of the node.",
    ),
    "refused": (
        "model_unavailable",
        "The provider of “{model}” refused the key.",
        "Check the provider's API key in the server's environment, {otherwise}.",
    ),
    "busy": (
        "provider_rate_limit",
        "The provider of “{model}” takes no more requests for now (rate limit or quota).",
        "Wait a little, or check the quota of your account.",
    ),
    "unknown": (
        "model_unavailable",
        "The provider does not know the model “{model}”.",
        "Check its name, {otherwise}.",
    ),
    "unreachable": (
        "provider_unreachable",
        "The provider of “{model}” cannot be reached.",
        "Check the connection and the provider's address, {otherwise}.",
    ),
    "down": (
        "provider_unreachable",
        "The provider of “{model}” is out of order ({kind}).",
        "Try again later, {otherwise}.",
    ),
    "too_long": (
        "prompt_too_long",
        "The prompt is longer than “{model}” can read.",
        "Retrieve fewer or shorter chunks, or choose a model with a larger context.",
    ),
    "cut": (
        "provider_error",
        "The provider of “{model}” broke off in the middle of its answer.",
        "Try again, {otherwise}.",
    ),
    "nothing": (
        "provider_error",
        "The model “{model}” answered without a word.",
        "Raise max_tokens (thinking may have used them up) or try again, {otherwise}.",
    ),
    "other": (
        "provider_error",
        "The provider of “{model}” answered with an error ({kind}).",
        "Try again, {otherwise}.",
    ),
}
_KINDS = {
    "TimeoutError": "timeout",
    "Timeout": "timeout",
    "APITimeoutError": "timeout",
    "AuthenticationError": "refused",
    "PermissionDeniedError": "refused",
    "RateLimitError": "busy",
    "NotFoundError": "unknown",
    "APIConnectionError": "unreachable",
    "ContextWindowExceededError": "too_long",
}
#: litellm wraps some failures in classes that say nothing; their text does.
_PHRASES = {
    "Missing credentials": "refused",
    "Connection error": "unreachable",
    "Cannot connect": "unreachable",
}
#: Answers of 500 and above, where their text says nothing more exact.
_OUT_OF_ORDER = ("InternalServerError", "ServiceUnavailableError", "BadGatewayError")


def provider_error(error: Exception, model: str, timeout_s: float, otherwise: str) -> RagloomError:
    """What a provider's refusal means and what to do; never repeats keys or addresses."""
    kind = type(error).__name__
    usual = "down" if kind in _OUT_OF_ORDER else "other"
    said = next((case for phrase, case in _PHRASES.items() if phrase in str(error)), usual)
    return _said(_KINDS.get(kind, said), model, timeout_s, otherwise, kind)


def _said(case: str, model: str, timeout_s: float, otherwise: str, kind: str = "") -> RagloomError:
    code, message, fix = _ERRORS[case]
    words = {"model": model, "timeout": timeout_s, "otherwise": otherwise, "kind": kind}
    raised = ModelUnavailable if code == ModelUnavailable.code else RagloomError
    return raised(message.format(**words), code=code, fix=fix.format(**words), model=model)
