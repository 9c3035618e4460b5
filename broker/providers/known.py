"""Hosted servers that speak OpenAI's dialect, by the names under which the price list knows them."""

KNOWN: dict[str, str] = {
    "cerebras": "https://api.cerebras.ai",
    "deepseek": "https://api.deepseek.com",
    "fireworks": "https://api.fireworks.ai/inference",
    "groq": "https://api.groq.com/openai",
    "openrouter": "https://openrouter.ai/api",
    "together": "https://api.together.xyz",
    "x-ai": "https://api.x.ai",
}
"""Name → what stands before /v1; from each provider's own documentation, November 2026."""

DIALECT = "openai"

LABELS = {
    "cerebras": "Cerebras",
    "deepseek": "DeepSeek",
    "fireworks": "Fireworks AI",
    "groq": "Groq",
    "openrouter": "OpenRouter",
    "together": "Together AI",
    "x-ai": "xAI",
}
