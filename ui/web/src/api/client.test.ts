import { expect, test } from 'vitest'
import { objectPath, readError } from './client'

test('an error of the interface keeps its causes', () => {
  const causes = [{ field: 'spec.objective', message: 'Required value' }]
  const error = readError(422, JSON.stringify({ error: { code: 422, message: 'invalid', causes } }))
  expect(error.message).toBe('invalid')
  expect(error.causes).toEqual(causes)
  expect(error.isAuth).toBe(false)
})

test('a user who may not see something is told so, and is signed in', () => {
  const message = 'user "ada" may not list experiments in namespace team'
  const error = readError(403, JSON.stringify({ error: { code: 403, message, causes: [] } }))
  expect(error.message).toBe(message)
  expect(error.isAuth).toBe(false)
})

test('an error of anything else keeps its text', () => {
  expect(readError(401, 'open the printed address').message).toBe('open the printed address')
  expect(readError(401, '').isAuth).toBe(true)
  expect(readError(502, '').message).toBe('the server answered 502')
})

test('names are escaped in paths', () => {
  expect(objectPath('trials', 'team', 'a/b')).toBe('/namespaces/team/trials/a%2Fb')
})
