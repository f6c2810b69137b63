"""Names of language models, as the other systems write them and as litellm does."""

from __future__ import annotations

import re

from app.services.importers.source import text

#: Set where a step names no model: any other works as well.
FALLBACK = "gpt-4o-mini"

#: Provider of the other system, in small letters without punctuation -> prefix of litellm.
_PROVIDERS = {
    "openai": "", "chatopenai": "", "anthropic": "anthropic/", "chatanthropic": "anthropic/",
    "claude": "anthropic/", "google": "gemini/", "gemini": "gemini/",
    "chatgooglegenerativeai": "gemini/", "googlegenerativeai": "gemini/",
    "vertexai": "vertex_ai/", "chatgooglevertexai": "vertex_ai/", "googlevertexai": "vertex_ai/",
    "deepseek": "deepseek/", "chatdeepseek": "deepseek/", "moonshot": "moonshot/",
    "kimi": "moonshot/", "mistral": "mistral/", "mistralai": "mistral/",
    "chatmistralai": "mistral/", "ollama": "ollama/", "chatollama": "ollama/",
    "azure": "azure/", "azureopenai": "azure/", "azurechatopenai": "azure/",
    "groq": "groq/", "groqchat": "groq/", "chatgroq": "groq/", "cohere": "cohere/",
    "chatcohere": "cohere/", "bedrock": "bedrock/", "awsbedrock": "bedrock/",
    "awschatbedrock": "bedrock/", "amazonbedrock": "bedrock/", "xai": "xai/", "chatxai": "xai/",
    "openrouter": "openrouter/", "chatopenrouter": "openrouter/", "tongyi": "dashscope/",
    "dashscope": "dashscope/", "qwen": "dashscope/", "tongyiqianwen": "dashscope/",
    "togetherai": "together_ai/", "chattogetherai": "together_ai/", "nvidia": "nvidia_nim/",
    "perplexity": "perplexity/", "chatperplexity": "perplexity/", "cerebras": "cerebras/",
    "chatcerebras": "cerebras/", "fireworks": "fireworks_ai/", "chatfireworks": "fireworks_ai/",
    "huggingface": "huggingface/", "chathuggingface": "huggingface/",
    "huggingfaceinferencellms": "huggingface/", "replicate": "replicate/",
    "volcengine": "volcengine/", "volcenginemaas": "volcengine/", "minimax": "minimax/",
    "zhipuai": "zai/", "zhipu": "zai/", "watsonx": "watsonx/", "ibmwatsonx": "watsonx/",
}  # fmt: skip
#: What a name begins with -> prefix, where no provider is named.
_FAMILIES = (
    ("claude", "anthropic/"), ("gemini", "gemini/"), ("deepseek", "deepseek/"),
    ("moonshot", "moonshot/"), ("kimi", "moonshot/"), ("mistral", "mistral/"),
    ("qwen", "dashscope/"), ("grok", "xai/"), ("command-r", "cohere/"), ("glm", "zai/"),
)  # fmt: skip


def model_name(name: object, provider: object = "") -> str:
    """The name of litellm for a model, or "" where none is named."""
    name, provider = text(name, 200).strip(), text(provider, 200).strip()
    if "@" in name and not provider:
        # RAGFlow writes model@provider.
        name, _, provider = name.rpartition("@")
    name = re.sub(r"\s+", "-", name.strip())
    if not name:
        return ""
    # Dify's plug-ins are called langgenius/openai/openai.
    short = re.sub(r"[^a-z]", "", provider.split("/")[-1].lower().replace("llamaindex", ""))
    if short in _PROVIDERS:
        prefix = _PROVIDERS[short]
        return name if name.startswith(prefix) else f"{prefix}{name}"
    if short or "/" in name:
        # Servers that speak OpenAI's protocol are what is left.
        return name if "/" in name else f"openai/{name}"
    family = next((p for start, p in _FAMILIES if name.lower().startswith(start)), "")
    return f"{family}{name}"
