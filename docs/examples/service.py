"""A service without a person: the operator gave it a grant, and it signs for each token with a key of its own (Authlib)."""

import json
import sys
from pathlib import Path

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey

broker, client_id, key_file = sys.argv[1:]
server = requests.get(f"{broker}/.well-known/oauth-authorization-server", timeout=10).json()

key = ECKey.import_key(Path(key_file).read_text("utf-8"))
service = OAuth2Session(client_id, key, token_endpoint_auth_method="private_key_jwt")
service.register_client_auth_method(PrivateKeyJWT(server["token_endpoint"], alg="ES256"))
token = service.fetch_token(server["token_endpoint"], grant_type="client_credentials")
granted = token["authorization_details"]
print("Granted", json.dumps(granted))

# A part of the service that needs less gets less: this caps the one token. What is not named stays as it was granted; a
# budget is named whole, for the same time (`per`) as the granted one.
cent = granted[0]["budget"] | {"amount": "0.01"}
less = [{"type": "ai_model_access", "provider": "openai", "budget": cent}]
small = service.fetch_token(
    server["token_endpoint"], grant_type="client_credentials", authorization_details=json.dumps(less)
)
print("Narrowed", small["authorization_details"][0]["budget"]["amount"])

body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
answer = service.post(f"{broker}/proxy/openai/v1/chat/completions", json=body, timeout=60).json()
print("Answer", answer["choices"][0]["message"]["content"])
