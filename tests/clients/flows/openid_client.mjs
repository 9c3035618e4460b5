// openid-client, for an app with a secret: push, code, narrowing refresh, introspection, revocation.
import * as client from 'openid-client'
import assert from 'node:assert/strict'
import { createInterface } from 'node:readline/promises'

const [broker, clientId, secret, redirect_uri] = process.argv.slice(2)
const wish = {
  type: 'ai_model_access', provider: 'openai', models: ['gpt-4o-mini', 'gpt-4o'], actions: ['chat', 'embeddings'],
  budget: { amount: '5.00', currency: 'USD' }, expires_in: 86400,
}
const terminal = createInterface({ input: process.stdin })
const authentication = process.env.METHOD === 'post' ? client.ClientSecretPost(secret) : client.ClientSecretBasic(secret)
const config = await client.discovery(new URL(broker), clientId, undefined, authentication, {
  algorithm: 'oauth2', execute: [client.allowInsecureRequests],
})
const server = config.serverMetadata()
assert.equal(server.issuer, broker)
assert(server.supportsPKCE())

const pkceCodeVerifier = client.randomPKCECodeVerifier()
const expectedState = client.randomState()
const asked = {
  redirect_uri,
  state: expectedState,
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: 'S256',
  authorization_details: JSON.stringify([wish]),
}
await assert.rejects(
  client.buildAuthorizationUrlWithPAR(config, { ...asked, authorization_details: '[{"type": "unheard-of"}]' }),
  { error: 'invalid_authorization_details', status: 400 },
)
console.log('Open', (await client.buildAuthorizationUrlWithPAR(config, asked)).href)
const cameBackTo = new URL(await terminal.question(''))

const elsewhere = new URL(cameBackTo)
elsewhere.searchParams.set('iss', 'https://elsewhere.example')
const checks = { pkceCodeVerifier, expectedState }
await assert.rejects(client.authorizationCodeGrant(config, elsewhere, checks), { code: 'OAUTH_INVALID_RESPONSE' })

const first = await client.authorizationCodeGrant(config, cameBackTo, checks)
const [granted] = first.authorization_details
assert.equal(granted.budget.amount, '2.00') // what the person made of it
assert.deepEqual(granted.models, wish.models)
assert(first.authorization_expires_in <= 86400 && first.refresh_token_timeout <= 86400)

const less = { type: wish.type, provider: 'openai', models: ['gpt-4o'], max_requests: 3 }
const narrow = await client.refreshTokenGrant(config, first.refresh_token, {
  authorization_details: JSON.stringify([less]),
})
assert.deepEqual(narrow.authorization_details[0].models, ['gpt-4o'])
assert.equal(narrow.authorization_details[0].max_requests, 3)
await assert.rejects(
  client.refreshTokenGrant(config, first.refresh_token, {
    authorization_details: JSON.stringify([{ ...less, models: ['*'] }]),
  }),
  { error: 'invalid_authorization_details' },
)
const full = await client.refreshTokenGrant(config, first.refresh_token)
assert.deepEqual(full.authorization_details, first.authorization_details)

const worth = await client.tokenIntrospection(config, narrow.access_token)
assert.equal(worth.active, true)
assert.equal(worth.client_id, clientId)
assert.equal(worth.grant_id, first.grant_id)
await client.tokenRevocation(config, narrow.access_token)
assert.deepEqual(await client.tokenIntrospection(config, narrow.access_token), { active: false })
assert.equal((await client.tokenIntrospection(config, full.access_token)).active, true)
await client.tokenRevocation(config, first.refresh_token, { token_type_hint: 'refresh_token' })
assert.deepEqual(await client.tokenIntrospection(config, full.access_token), { active: false })
await assert.rejects(client.refreshTokenGrant(config, first.refresh_token), { error: 'invalid_grant' })
await assert.rejects(client.authorizationCodeGrant(config, cameBackTo, checks), { error: 'invalid_grant' })
terminal.close()
console.log('Done')
