// openid-client, for a service that signs for its tokens; and oauth4webapi, which reads one as a resource would.
import * as client from 'openid-client'
import * as oauth from 'oauth4webapi'
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'

const [broker, clientId, keyFile] = process.argv.slice(2)
const jwk = JSON.parse(await readFile(keyFile))
const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
const config = await client.discovery(new URL(broker), clientId, undefined, client.PrivateKeyJwt({ key, kid: jwk.kid }), {
  algorithm: 'oauth2', execute: [client.allowInsecureRequests],
})
const tokens = await client.clientCredentialsGrant(config)
assert.equal(tokens.refresh_token, undefined)
assert.equal(tokens.authorization_details[0].budget.amount, '5.00')
const less = [{ type: 'ai_model_access', provider: 'openai', budget: { amount: '0.50', currency: 'USD' } }]
const small = await client.clientCredentialsGrant(config, { authorization_details: JSON.stringify(less) })
assert.equal(small.authorization_details[0].budget.amount, '0.50')

const worth = await client.tokenIntrospection(config, small.access_token)
assert.deepEqual(worth.authorization_details, small.authorization_details)

const shown = new Request(`${broker}/proxy`, { headers: { authorization: `Bearer ${tokens.access_token}` } })
const claims = await oauth.validateJwtAccessToken(config.serverMetadata(), shown, `${broker}/proxy`, {
  [oauth.allowInsecureRequests]: true,
})
assert.equal(claims.client_id, clientId)

const intruder = await client.discovery(new URL(broker), clientId, undefined, client.PrivateKeyJwt({
  key: (await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])).privateKey, kid: jwk.kid,
}), { algorithm: 'oauth2', execute: [client.allowInsecureRequests] })
await assert.rejects(client.clientCredentialsGrant(intruder), { error: 'invalid_client' })
console.log('Done')
