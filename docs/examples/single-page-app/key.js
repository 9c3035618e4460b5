// The key of this browser, made once and kept where scripts can use it but not read it out.
import * as oauth from 'oauth4webapi'

const done = (request) => new Promise((yes, no) => {
  request.onsuccess = () => yes(request.result)
  request.onerror = () => no(request.error)
})

export async function keptKey() {
  const opening = indexedDB.open('keys', 1)
  opening.onupgradeneeded = () => opening.result.createObjectStore('keys')
  const database = await done(opening)
  const kept = await done(database.transaction('keys').objectStore('keys').get('dpop'))
  if (kept) return kept
  const made = await oauth.generateKeyPair('ES256') // not extractable
  await done(database.transaction('keys', 'readwrite').objectStore('keys').put(made, 'dpop'))
  return made
}
