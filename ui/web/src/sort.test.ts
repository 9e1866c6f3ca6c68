import { expect, test } from 'vitest'
import type { TrialRow } from './api/schema'
import { type SortKey, sortTrials } from './sort'

function trial(name: string, objective: number | null, parameter: string): TrialRow {
  return {
    name,
    state: 'Succeeded',
    reason: '',
    message: '',
    parameters: [{ name: 'lr', value: parameter }],
    metrics: [{ name: 'time', value: objective, text: '' }],
    objective,
  }
}

const trials = [trial('a', 2, '10'), trial('b', null, '9'), trial('c', 1, '1e1')]
const order = (key: SortKey, descending: boolean) =>
  sortTrials(trials, { key, descending })
    .map((item) => item.name)
    .join('')

test('trials without a value come last in both directions', () => {
  expect(order('objective', false)).toBe('cab')
  expect(order('objective', true)).toBe('acb')
  expect(order('metric:time', false)).toBe('cab')
})

test('parameters that are numbers are compared as numbers, equals keep their order', () => {
  expect(order('parameter:lr', false)).toBe('bac')
  expect(order('parameter:lr', true)).toBe('acb')
})

test('the newest trial comes first when age descends', () => {
  expect(order('created', true)).toBe('cba')
  expect(order('state', false)).toBe('abc')
})
