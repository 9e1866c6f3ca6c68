import { expect, test } from 'vitest'
import { formatAgo, formatDuration, formatNumber, formatValue, plural, span, words } from './format'

test.each([
  [0, '0'],
  [0.1 + 0.2, '0.3'],
  [0.98765432, '0.987654'],
  [-12.5, '-12.5'],
  [1234567, '1234570'],
  [0.00001234, '1.234e-5'],
  [2e12, '2e12'],
  [Number.NaN, '–'],
  [null, '–'],
  [undefined, '–'],
])('the number %s reads %s', (value, text) => {
  expect(formatNumber(value)).toBe(text)
})

test.each([
  ['0.0312345678901', '0.0312346'],
  ['adam', 'adam'],
  ['3', '3'],
  ['1e-3', '1e-3'],
  ['', ''],
])('the value %j reads %j', (value, text) => {
  expect(formatValue(value)).toBe(text)
})

test.each([
  [0, '0 s'],
  [59_999, '59 s'],
  [83_000, '1 min 23 s'],
  [3_660_000, '1 h 1 min'],
  [90_000_000, '1 d 1 h'],
  [-1, '–'],
  [null, '–'],
])('the span %s reads %s', (value, text) => {
  expect(formatDuration(value)).toBe(text)
})

test('a time reads as how long ago it was', () => {
  const now = Date.parse('2026-01-02T00:00:00Z')
  expect(formatAgo('2026-01-01T23:59:58Z', now)).toBe('just now')
  expect(formatAgo('2026-01-01T23:59:20Z', now)).toBe('40 s ago')
  expect(formatAgo('2026-01-01T23:30:00Z', now)).toBe('30 min ago')
  expect(formatAgo('2025-12-01T00:00:00Z', now)).toBe('32 d ago')
  expect(formatAgo('2026-01-02T00:00:05Z', now)).toBe('just now')
  expect(formatAgo('soon', now)).toBe('–')
  expect(formatAgo(null, now)).toBe('–')
})

test('a span without an end lasts until now', () => {
  const now = Date.parse('2026-01-01T00:01:00Z')
  expect(span('2026-01-01T00:00:00Z', null, now)).toBe(60_000)
  expect(span('2026-01-01T00:00:00Z', '2026-01-01T00:00:10Z', now)).toBe(10_000)
  expect(span(null, null, now)).toBeNull()
})

test('words and counts', () => {
  expect(words('MetricsUnavailable')).toBe('Metrics unavailable')
  expect(plural(1, 'trial')).toBe('1 trial')
  expect(plural(0, 'trial')).toBe('0 trials')
})
