// An app that speaks llm-inference and nothing else, as it would to any server of that profile (openid-client).
import * as client from 'openid-client'
import assert from 'node:assert/strict'
import { createInterface } from 'node:readline/promises'

const [broker] = process.argv.slice(2)
const config = await client.dynamicClientRegistration(
  new URL(broker),
  {
    client_name: 'Pony', redirect_uris: ['http://127.0.0.1/callback'], token_endpoint_auth_method: 'none',
    authorization_details_types: ['llm-inference'],
  },
  client.None(),
  { algorithm: 'oauth2', execute: [client.allowInsecureRequests] },
)
assert(config.serverMetadata().authorization_details_types_supported.includes('llm-inference'))

const pkceCodeVerifier = client.randomPKCECodeVerifier()
const asked = {
  redirect_uri: 'http://127.0.0.1/callback',
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: 'S256',
  resource: `${broker}/proxy`,
}
const wish = { type: 'llm-inference', budget: 0.75, models: ['gpt-4o-mini', 'gpt-4o'] }
await assert.rejects(
  client.buildAuthorizationUrlWithPAR(config, { ...asked, authorization_details: JSON.stringify([{ ...wish, models: ['no-such'] }]) }),
  { error: 'invalid_authorization_details' },
)
console.log('Open', (await client.buildAuthorizationUrlWithPAR(config, { ...asked, authorization_details: JSON.stringify([wish]) })).href)
const terminal = createInterface({ input: process.stdin })
const cameBackTo = new URL(await terminal.question(''))
terminal.close()

const tokens = await client.authorizationCodeGrant(config, cameBackTo, { pkceCodeVerifier })
assert.deepEqual(tokens.authorization_details, [{ ...wish, budget: 0.5 }])
const small = [{ type: 'llm-inference', budget: 0.000001, models: ['gpt-4o-mini'] }]
const narrow = await client.refreshTokenGrant(config, tokens.refresh_token, { authorization_details: JSON.stringify(small) })
assert.deepEqual(narrow.authorization_details, small)
const full = await client.refreshTokenGrant(config, narrow.refresh_token)
assert.deepEqual(full.authorization_details, tokens.authorization_details)

const ask = (token, model) => client.fetchProtectedResource(
  config, token, new URL(`${broker}/proxy/openai/v1/chat/completions`), 'POST',
  JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }], max_tokens: 50 }),
  new Headers({ 'content-type': 'application/json' }),
)
assert.equal((await ask(full.access_token, 'gpt-4o')).status, 200)
const spent = await ask(narrow.access_token, 'gpt-4o-mini')
assert.equal(spent.status, 402)
assert.equal((await spent.json()).error.code, 'budget_exhausted')
await assert.rejects(ask(full.access_token, 'gpt-4.1'), { code: 'OAUTH_WWW_AUTHENTICATE_CHALLENGE', status: 403 })
console.log('Done')
