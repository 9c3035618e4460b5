"""Verifies a consent receipt, and whether the words of the page are those that it was given for.

    python verify_receipt.py https://broker.example rcp_….jwt [rcp_….txt]

Whoever runs it trusts the address it is given, and nothing in the file before that has signed it.
"""

import json
import sys
from hashlib import sha256
from pathlib import Path

import httpx
from joserfc import jws
from joserfc.jwk import KeySet
from jsonschema import Draft202012Validator

issuer, receipt, *shown = sys.argv[1:]
keys = KeySet.import_key_set(httpx.get(f"{issuer}/.well-known/jwks.json", timeout=30).raise_for_status().json())
schema = httpx.get(f"{issuer}/schemas/consent_receipt.json", timeout=30).raise_for_status().json()

signed = jws.deserialize_compact(Path(receipt).read_text("ascii"), keys, algorithms=["ES256", "EdDSA"])
if signed.headers().get("typ") != "consent-receipt+jwt":
    sys.exit("This was signed by the broker, and is no receipt.")
claims = json.loads(signed.payload)
Draft202012Validator(schema).validate(claims)
if claims["iss"] != issuer:
    sys.exit("This is a receipt of another broker.")
for words in shown:
    if sha256(Path(words).read_bytes()).hexdigest() != claims["shown"]["digest"]:
        sys.exit("The page said something else.")
print(json.dumps(claims, indent=2))
