"""LiteLLM as a library, whole and streamed, by the variables of the page. Prints what was said as JSON."""

import json
import sys

import litellm

HELLO = [{"role": "user", "content": "Hello"}]
MODELS = {
    "openai": "openai/gpt-4o-mini",
    "anthropic": "anthropic/claude-haiku-4-5",
    "google": "gemini/gemini-2.5-flash",
}


def said(model: str) -> list[str]:
    whole = litellm.completion(model=model, messages=HELLO, max_tokens=50, num_retries=0)
    stream = litellm.completion(model=model, messages=HELLO, max_tokens=50, num_retries=0, stream=True)
    pieces = [piece.choices[0].delta.content or "" for piece in stream]
    return [whole.choices[0].message.content, "".join(pieces)]


def main() -> None:
    litellm.telemetry = False
    told = {name: said(model) for name, model in MODELS.items()}
    try:
        litellm.completion(model="openai/gpt-4o", messages=HELLO, num_retries=0)
    except litellm.PermissionDeniedError as error:
        refused = error.status_code
    except litellm.APIError as error:
        refused = error.status_code
    else:
        refused = 0
    sys.stdout.write(json.dumps({"said": told, "refused": refused}) + "\n")


if __name__ == "__main__":
    main()
