// openid-client, for an app that is held to the FAPI 2.0 Security Profile: it signs, pushes, and proves the key of its tokens.
import * as client from 'openid-client'
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline/promises'

const [broker, clientId, keyFile, redirect_uri] = process.argv.slice(2)
const wish = {
  type: 'ai_model_access', provider: 'openai', models: ['gpt-4o-mini'], actions: ['chat'],
  budget: { amount: '1.00', currency: 'USD' }, expires_in: 86400,
}
const terminal = createInterface({ input: process.stdin })
const jwk = JSON.parse(await readFile(keyFile))
const key = await crypto.subtle.importKey('jwk', jwk, { name: 'Ed25519' }, false, ['sign'])
const config = await client.discovery(new URL(broker), clientId, undefined, client.PrivateKeyJwt({ key, kid: jwk.kid }), {
  algorithm: 'oauth2', execute: [client.allowInsecureRequests],
})
const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))

const pkceCodeVerifier = client.randomPKCECodeVerifier()
const expectedState = client.randomState()
const asked = {
  redirect_uri,
  state: expectedState,
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: 'S256',
  authorization_details: JSON.stringify([wish]),
}
const plain = await fetch(client.buildAuthorizationUrl(config, asked), { redirect: 'manual' })
assert.equal(plain.status, 303)
assert.equal(new URL(plain.headers.get('location')).searchParams.get('error'), 'invalid_request')

console.log('Open', (await client.buildAuthorizationUrlWithPAR(config, asked, { DPoP })).href)
const cameBackTo = new URL(await terminal.question(''))
const checks = { pkceCodeVerifier, expectedState }
const another = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
await assert.rejects(client.authorizationCodeGrant(config, cameBackTo, checks), { error: 'invalid_dpop_proof' })
await assert.rejects(
  client.authorizationCodeGrant(config, cameBackTo, checks, undefined, { DPoP: another }),
  { error: 'invalid_grant' }, // the pushed request was bound to the other key
)
const tokens = await client.authorizationCodeGrant(config, cameBackTo, checks, undefined, { DPoP })
assert.equal(tokens.token_type, 'dpop')

const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })
assert.equal(refreshed.refresh_token, tokens.refresh_token)
assert.notEqual(refreshed.access_token, tokens.access_token)

const status = new URL(`${broker}/proxy/status`)
const answer = await client.fetchProtectedResource(
  config, refreshed.access_token, status, 'GET', undefined, undefined, { DPoP },
)
assert.equal((await answer.json()).client_id, clientId)
const stolen = await fetch(status, { headers: { authorization: `Bearer ${refreshed.access_token}` } })
assert.equal(stolen.status, 401)
terminal.close()
console.log('Done')
