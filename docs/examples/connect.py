"""An app that asks for access and spends it: any OAuth client, and the official SDK, neither knowing of Broker."""

import json
import sys

from authlib.common.security import generate_token
from authlib.integrations.httpx_client import OAuth2Client
from openai import OpenAI

broker, client_id, callback = sys.argv[1:]
wish = {"type": "ai_model_access", "provider": "openai", "models": ["gpt-4o-mini"], "actions": ["chat"],
        "budget": {"amount": "5.00", "currency": "USD"}, "purpose": "Summarise your notes."}  # fmt: skip

app = OAuth2Client(
    client_id, redirect_uri=callback, code_challenge_method="S256", token_endpoint_auth_method="none", timeout=30
)
verifier, details = generate_token(48), json.dumps([wish])
address, state = app.create_authorization_url(
    f"{broker}/oauth/authorize", code_verifier=verifier, authorization_details=details
)
print("Open", address, flush=True)  # the person decides there, and comes back to the callback address
came_back_to = input()
token = app.fetch_token(
    f"{broker}/oauth/token", authorization_response=came_back_to, state=state, code_verifier=verifier
)
print("Granted", json.dumps(token["authorization_details"]), flush=True)  # perhaps less than was asked

openai = OpenAI(base_url=f"{broker}/proxy/openai/v1", api_key=token["access_token"])
answer = openai.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}])
print("Answer", answer.choices[0].message.content)
