// An app that is nothing but a page. Its tokens are bound to a key that no script can read out, so a stolen one is
// worth nothing (DPoP, RFC 9449; oauth4webapi). Open it as index.html?broker=https://broker.example&client_id=…
import * as oauth from 'oauth4webapi'
import { keptKey } from './key.js'

const asked = new URLSearchParams(location.search)
for (const name of ['broker', 'client_id']) if (asked.has(name)) sessionStorage[name] = asked.get(name)
const { broker, client_id } = sessionStorage
const options = { [oauth.allowInsecureRequests]: broker.startsWith('http://127.0.0.1') }
const redirect = location.origin + location.pathname

const issuer = new URL(broker)
const as = await oauth.processDiscoveryResponse(
  issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options }),
)
const client = { client_id }
const DPoP = oauth.DPoP(client, await keptKey())

async function connect() {
  sessionStorage.verifier = oauth.generateRandomCodeVerifier()
  sessionStorage.state = oauth.generateRandomState()
  const wish = {
    type: 'ai_model_access', provider: 'openai', models: ['gpt-4o-mini'], actions: ['chat'],
    budget: { amount: '1.00', currency: 'USD' }, expires_in: 86400, purpose: 'Answer on this page.',
  }
  location.href = `${as.authorization_endpoint}?${new URLSearchParams({
    response_type: 'code',
    client_id,
    redirect_uri: redirect,
    state: sessionStorage.state,
    code_challenge: await oauth.calculatePKCECodeChallenge(sessionStorage.verifier),
    code_challenge_method: 'S256',
    dpop_jkt: await DPoP.calculateThumbprint(), // the code is worth nothing without the key either
    authorization_details: JSON.stringify([wish]),
  })}`
}

// A server that wants a nonce in each proof says so once, and the handle remembers it.
async function patiently(request, read) {
  try {
    return await read(await request())
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    return read(await request())
  }
}

async function comeBack() {
  const answer = oauth.validateAuthResponse(as, client, new URL(location.href), sessionStorage.state) // iss, too
  history.replaceState(null, '', redirect)
  return patiently(
    () => oauth.authorizationCodeGrantRequest(
      as, client, oauth.None(), answer, redirect, sessionStorage.verifier, { DPoP, ...options },
    ),
    (response) => oauth.processAuthorizationCodeResponse(as, client, response),
  )
}

let tokens
const tell = (...words) => (document.getElementById('told').textContent += words.join(' ') + '\n')

async function ask() {
  tokens = await patiently( // a public client gets another refresh token each time
    () => oauth.refreshTokenGrantRequest(as, client, oauth.None(), tokens.refresh_token, { DPoP, ...options }),
    (response) => oauth.processRefreshTokenResponse(as, client, response),
  )
  const answer = await patiently(
    () => oauth.protectedResourceRequest(
      tokens.access_token, 'POST', new URL(`${broker}/proxy/openai/v1/chat/completions`),
      new Headers({ 'content-type': 'application/json' }),
      JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hello' }] }),
      { DPoP, ...options },
    ),
    (response) => response.json(),
  )
  tell('Answer', answer.choices[0].message.content)
}

document.getElementById('connect').onclick = connect
document.getElementById('ask').onclick = ask
if (asked.has('code')) {
  tokens = await comeBack()
  tell('Granted', tokens.token_type, JSON.stringify(tokens.authorization_details))
  document.getElementById('ask').disabled = false
} else if (asked.has('error')) {
  tell('Not connected:', asked.get('error'))
}
