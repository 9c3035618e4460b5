// A client that knows nothing but the address of a resource, as MCP clients do: it finds out whom to ask, registers
// itself, and asks (openid-client). Run it as: node mcp_client.mjs https://broker.example/proxy
import * as client from 'openid-client'
import * as oauth from 'oauth4webapi'
import { createInterface } from 'node:readline/promises'

const resource = new URL(process.argv[2])
const insecure = resource.hostname === '127.0.0.1'

// 1. Whom does the resource believe? It says so beside its refusal (RFC 9728 §5).
const refused = await fetch(`${resource}/openai/v1/models`)
const [, about] = /resource_metadata="([^"]+)"/.exec(refused.headers.get('www-authenticate'))
const described = await oauth.processResourceDiscoveryResponse(resource, await fetch(about))

// 2. Make itself known there (RFC 7591). A client with a document of its own on the web uses that address as its id instead.
const config = await client.dynamicClientRegistration(
  new URL(described.authorization_servers[0]),
  { client_name: 'Editor', redirect_uris: ['http://127.0.0.1/callback'], token_endpoint_auth_method: 'none' },
  client.None(),
  { algorithm: 'oauth2', execute: insecure ? [client.allowInsecureRequests] : [] },
)
console.log('Registered', config.clientMetadata().client_id)

// 3. Ask, with PKCE and for this resource alone (RFC 8707).
const wish = {
  type: 'ai_model_access', provider: 'openai', models: ['gpt-4o-mini'], actions: ['chat'],
  budget: { amount: '1.00', currency: 'USD' }, expires_in: 3600,
}
const pkceCodeVerifier = client.randomPKCECodeVerifier()
const expectedState = client.randomState()
console.log('Open', (await client.buildAuthorizationUrlWithPAR(config, {
  redirect_uri: 'http://127.0.0.1/callback',
  code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: 'S256',
  state: expectedState,
  resource: described.resource,
  authorization_details: JSON.stringify([wish]),
})).href)

// 4. A real one listens at the redirect address; here the address is pasted.
const terminal = createInterface({ input: process.stdin })
const cameBackTo = await terminal.question('')
terminal.close()
const tokens = await client.authorizationCodeGrant(config, new URL(cameBackTo), { pkceCodeVerifier, expectedState })
console.log('Granted', JSON.stringify(tokens.authorization_details))

const models = await client.fetchProtectedResource(
  config, tokens.access_token, new URL(`${resource}/openai/v1/models`), 'GET',
)
console.log('Models', (await models.json()).data.map((model) => model.id).join(', '))
