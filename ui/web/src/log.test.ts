import { expect, test } from 'vitest'
import { append } from './log'

test('the newest lines are kept', () => {
  expect(append(['a', 'b'], ['c'], 2)).toEqual(['b', 'c'])
})

test('what only terminals understand is left out', () => {
  expect(append([], ['\u001b[1;32mok\u001b[0m', '10%\r50%\r100%', 'dos\r'])).toEqual([
    'ok',
    '100%',
    'dos',
  ])
})
