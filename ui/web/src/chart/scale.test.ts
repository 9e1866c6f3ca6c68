import { expect, test } from 'vitest'
import { closest, extent, linear, nearest, ticks } from './scale'

test('a scale maps its ends to its ends, also upside down', () => {
  const { place } = linear([0, 10], [100, 0])
  expect([0, 5, 10].map(place)).toEqual([100, 50, 0])
})

test('a scale of one value does not divide by zero', () => {
  expect(linear([1, 1], [0, 10]).place(1)).toBe(0)
})

test('the range of values leaves room', () => {
  expect(extent([1, 3], 0.5)).toEqual([0, 4])
  expect(extent([0])).toEqual([-1, 1])
  expect(extent([])).toEqual([0, 1])
})

test.each([
  [[0, 1], 5, [0, 0.2, 0.4, 0.6, 0.8, 1]],
  [[-3, 11], 3, [0, 5, 10]],
  [[0.1, 0.45], 4, [0.1, 0.2, 0.3, 0.4]],
  [[1, 1], 5, []],
] as const)('ticks of %j, about %i', ([low, high], wanted, expected) => {
  expect(ticks([low, high], wanted)).toEqual(expected)
})

test('the nearest point is found', () => {
  const places = [0, 10, 20, 40]
  expect([-5, 4, 6, 29, 31, 99].map((at) => nearest(places, at))).toEqual([0, 0, 1, 2, 3, 3])
  expect(nearest([7], 0)).toBe(0)
})

test('the curve that passes nearest is found within reach', () => {
  const curves = [
    { steps: [0, 5, 10], values: [0, 1, 2] },
    { steps: [0, 5], values: [10, 9] },
  ]
  const x = linear([0, 10], [0, 100])
  const y = linear([0, 10], [100, 0])
  expect(closest(curves, x, y, 50, 95)).toBe(0)
  expect(closest(curves, x, y, 45, 12)).toBe(1)
  expect(closest(curves, x, y, 100, 0)).toBeNull()
  expect(closest([], x, y, 0, 0)).toBeNull()
})
