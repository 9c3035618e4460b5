// A program in a terminal, perhaps on a machine without a browser: the person decides on another device (openid-client).
import * as client from 'openid-client'

const [broker, clientId] = process.argv.slice(2)
const insecure = broker.startsWith('http://127.0.0.1') ? [client.allowInsecureRequests] : []
const config = await client.discovery(new URL(broker), clientId, undefined, client.None(), {
  algorithm: 'oauth2',
  execute: insecure,
})
const wish = {
  type: 'ai_model_access', provider: 'openai', models: ['gpt-4o-mini'], actions: ['chat'],
  budget: { amount: '2.00', currency: 'USD' }, expires_in: 86400, purpose: 'Answer in your terminal.',
}

const device = await client.initiateDeviceAuthorization(config, { authorization_details: JSON.stringify([wish]) })
console.log('Open', device.verification_uri, 'and enter', device.user_code)
const tokens = await client.pollDeviceAuthorizationGrant(config, device) // waits as long as the server wants it to
console.log('Granted', JSON.stringify(tokens.authorization_details))

const answer = await client.fetchProtectedResource(
  config, tokens.access_token, new URL(`${broker}/proxy/openai/v1/chat/completions`), 'POST',
  JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hello' }] }),
  new Headers({ 'content-type': 'application/json' }),
)
console.log('Answer', (await answer.json()).choices[0].message.content)

await client.tokenRevocation(config, tokens.refresh_token) // as `logout` would
console.log('Given back')
