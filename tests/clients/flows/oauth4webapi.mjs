// oauth4webapi, for an app on a device: registration, a key that tokens are bound to, nonces, refresh, and its token read.
import * as oauth from 'oauth4webapi'
import assert from 'node:assert/strict'
import { createInterface } from 'node:readline/promises'

const [broker] = process.argv.slice(2)
const options = { [oauth.allowInsecureRequests]: true }
const terminal = createInterface({ input: process.stdin })
const redirect = 'http://127.0.0.1:49152/callback'
const wish = {
  type: 'ai_model_access', provider: 'openai', models: ['gpt-4o-mini'], actions: ['chat'],
  budget: { amount: '1.00', currency: 'USD' }, expires_in: 86400,
}

const issuer = new URL(broker)
const as = await oauth.processDiscoveryResponse(
  issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options }),
)
const client = await oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(as, {
  client_name: 'Pocket',
  redirect_uris: ['http://127.0.0.1/callback'],
  token_endpoint_auth_method: 'none',
  dpop_bound_access_tokens: true,
}, options))
assert.equal(client.dpop_bound_access_tokens, true)
assert.equal(client.client_secret, undefined)

const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
let nonces = 0
async function patiently(request, read) {
  try {
    return await read(await request())
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    nonces += 1
    return read(await request())
  }
}

const verifier = oauth.generateRandomCodeVerifier()
const state = oauth.generateRandomState()
const pushed = await patiently(
  async () => oauth.pushedAuthorizationRequest(as, client, oauth.None(), {
    response_type: 'code',
    redirect_uri: redirect,
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    authorization_details: JSON.stringify([wish]),
  }, { DPoP, ...options }),
  (response) => oauth.processPushedAuthorizationResponse(as, client, response),
)
const query = new URLSearchParams({ client_id: client.client_id, request_uri: pushed.request_uri })
console.log('Open', `${as.authorization_endpoint}?${query}`)
const answer = oauth.validateAuthResponse(as, client, new URL(await terminal.question('')), state)
const exchange = (proof) => oauth.authorizationCodeGrantRequest(
  as, client, oauth.None(), answer, redirect, verifier, { ...proof, ...options },
)
const read = (response) => oauth.processAuthorizationCodeResponse(as, client, response)
await assert.rejects(exchange({}).then(read), { status: 400 }) // without the key, and the code is still good
const other = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
await assert.rejects(patiently(() => exchange({ DPoP: other }), read), { status: 400 })
const tokens = await patiently(() => exchange({ DPoP }), read)
assert.equal(tokens.token_type, 'dpop')
assert(nonces > 0)

const url = new URL(`${broker}/proxy/openai/v1/chat/completions`)
const headers = new Headers({ 'content-type': 'application/json' })
const body = JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hello' }] })
const call = (token, proof) => oauth.protectedResourceRequest(token, 'POST', url, headers, body, { ...proof, ...options })
const said = await patiently(() => call(tokens.access_token, { DPoP }), (response) => response.json())
assert.equal(said.choices[0].message.content, 'Hello.')
await assert.rejects(call(tokens.access_token, {}), oauth.WWWAuthenticateChallengeError) // as a bearer token
await assert.rejects(
  patiently(() => call(tokens.access_token, { DPoP: other }), (response) => response.json()),
  oauth.WWWAuthenticateChallengeError,
)

const key = await DPoP.calculateThumbprint()
const shown = new Request(url, { method: 'POST', headers: { authorization: `Bearer ${tokens.access_token}` } })
await assert.rejects(oauth.validateJwtAccessToken(as, shown, `${broker}/proxy`, options)) // bound, and shown without a proof
const claims = JSON.parse(Buffer.from(tokens.access_token.split('.')[1], 'base64url'))
assert.equal(claims.cnf.jkt, key)
assert.deepEqual(claims.authorization_details, tokens.authorization_details)

const refresh = (token, proof) => oauth.refreshTokenGrantRequest(
  as, client, oauth.None(), token, { ...proof, ...options },
)
const reread = (response) => oauth.processRefreshTokenResponse(as, client, response)
await assert.rejects(refresh(tokens.refresh_token, {}).then(reread), { status: 400 })
await assert.rejects(patiently(() => refresh(tokens.refresh_token, { DPoP: other }), reread), { status: 400 })
const second = await patiently(() => refresh(tokens.refresh_token, { DPoP }), reread)
assert.notEqual(second.refresh_token, tokens.refresh_token)

await oauth.processRevocationResponse(
  await oauth.revocationRequest(as, client, oauth.None(), second.refresh_token, options),
)
await assert.rejects(call(second.access_token, { DPoP }), oauth.WWWAuthenticateChallengeError)
terminal.close()
console.log('Done')
