"""LangChain's chat models, whole and streamed, and its embeddings, by the variables of the page. Prints what was said as JSON."""

import json
import sys
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

HELLO = "Hello"


def said(model: Any) -> list[str]:
    whole = model.invoke(HELLO)
    return [whole.text, "".join(piece.text for piece in model.stream(HELLO))]


def main() -> None:
    models = {
        "openai": ChatOpenAI(model="gpt-4o-mini", max_retries=0),
        "anthropic": ChatAnthropic(model="claude-haiku-4-5", max_tokens=50, max_retries=0),
        "google": ChatGoogleGenerativeAI(model="gemini-2.5-flash", max_retries=1),
    }
    told: dict[str, Any] = {name: said(model) for name, model in models.items()}
    told["embedding"] = OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False).embed_query(
        HELLO
    )
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
