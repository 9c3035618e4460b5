"""A web app with a secret: it pushes its request, takes the code back, refreshes, and calls (requests-oauthlib)."""

import json
import os
import sys
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_urlsafe
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import requests
from requests_oauthlib import OAuth2Session

BROKER, CLIENT_ID, PORT = sys.argv[1:]
SECRET = os.environ["CLIENT_SECRET"]
HOME = f"http://127.0.0.1:{PORT}"
WISH = [{"type": "ai_model_access", "provider": "openai", "models": ["gpt-4o-mini"], "actions": ["chat"],
         "budget": {"amount": "5.00", "currency": "USD"}, "purpose": "Summarise your notes."}]  # fmt: skip

if BROKER.startswith("http://127.0.0.1"):
    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # the library takes plain http for a mistake, as it is elsewhere

AS = requests.get(f"{BROKER}/.well-known/oauth-authorization-server", timeout=10).json()
sessions: dict[str, OAuth2Session] = {}  # by the value of a cookie; a real app keeps tokens in its database, sealed


def connect() -> tuple[str, OAuth2Session]:
    """Where to send the browser: the parameters have gone ahead, so that nobody can change them on the way."""
    app = OAuth2Session(CLIENT_ID, redirect_uri=f"{HOME}/callback", pkce="S256")
    address, _ = app.authorization_url(AS["authorization_endpoint"], authorization_details=json.dumps(WISH))
    pushed = requests.post(
        AS["pushed_authorization_request_endpoint"],
        data=dict(parse_qsl(urlsplit(address).query)),
        auth=(CLIENT_ID, SECRET),
        timeout=10,
    )
    pushed.raise_for_status()
    query = urlencode({"client_id": CLIENT_ID, "request_uri": pushed.json()["request_uri"]})
    return f"{AS['authorization_endpoint']}?{query}", app


def come_back(app: OAuth2Session, path: str) -> str:
    """The library compares `state`; `iss` says that the answer is from the server that was asked (RFC 9207)."""
    answer = parse_qs(urlsplit(path).query)
    if answer.get("iss") != [AS["issuer"]]:
        return "That answer is not from the broker that was asked."
    if "error" in answer:
        return "You did not connect."
    token = app.fetch_token(AS["token_endpoint"], authorization_response=HOME + path, client_secret=SECRET)
    return "Connected: " + json.dumps(token["authorization_details"])  # perhaps less than was asked


def ask(app: OAuth2Session) -> str:
    token = app.refresh_token(
        AS["token_endpoint"], auth=(CLIENT_ID, SECRET)
    )  # a real app does so when it is about to end
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
    answer = requests.post(
        f"{BROKER}/proxy/openai/v1/chat/completions",
        json=body,
        headers={"authorization": f"Bearer {token['access_token']}"},
        timeout=60,
    ).json()
    return "Answer: " + answer["choices"][0]["message"]["content"]


def disconnect(app: OAuth2Session) -> str:
    given = {"token": app.token["refresh_token"]}
    requests.post(AS["revocation_endpoint"], data=given, auth=(CLIENT_ID, SECRET), timeout=10).raise_for_status()
    return "Disconnected."


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        cookie = SimpleCookie(self.headers.get("cookie", "")).get("app")
        app = sessions.get(cookie.value) if cookie else None
        if self.path == "/" or app is None:
            address, app = connect()
            name = token_urlsafe()
            sessions[name] = app
            self.send_response(303)
            self.send_header("location", address)
            self.send_header("set-cookie", f"app={name}; HttpOnly; SameSite=Lax")
            self.end_headers()
            return
        step = urlsplit(self.path).path
        told = come_back(app, self.path) if step == "/callback" else disconnect(app) if step == "/leave" else ask(app)
        self.send_response(200)
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.end_headers()
        self.wfile.write(told.encode())


server = ThreadingHTTPServer(("127.0.0.1", int(PORT)), Page)
print("App", HOME, flush=True)
server.serve_forever()
