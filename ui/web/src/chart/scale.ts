/** Scales and ticks of charts. */

/** Maps values to places. */
export interface Scale {
  domain: [number, number]
  place: (value: number) => number
}

/** Makes a linear scale. */
export function linear(domain: [number, number], range: [number, number]): Scale {
  const width = domain[1] - domain[0] || 1
  const factor = (range[1] - range[0]) / width
  return { domain, place: (value) => range[0] + (value - domain[0]) * factor }
}

/** Returns the smallest range that holds all values, with a margin on both sides. */
export function extent(values: Iterable<number>, margin = 0.06): [number, number] {
  let low = Number.POSITIVE_INFINITY
  let high = Number.NEGATIVE_INFINITY
  for (const value of values) {
    if (value < low) low = value
    if (value > high) high = value
  }
  if (low > high) return [0, 1]
  const room = (high - low) * margin || Math.abs(low) * 0.1 || 1
  return [low - room, high + room]
}

/** Returns round values inside a range, about as many as wanted. */
export function ticks([low, high]: [number, number], wanted: number): number[] {
  const rough = (high - low) / Math.max(1, wanted)
  if (!(rough > 0) || !Number.isFinite(rough)) return []
  const power = 10 ** Math.floor(Math.log10(rough))
  const ratio = rough / power
  const step = (ratio >= 7 ? 10 : ratio >= 3.5 ? 5 : ratio >= 1.5 ? 2 : 1) * power
  const first = Math.ceil(low / step)
  const count = Math.floor(high / step) - first + 1
  // Multiplying keeps 0.3 from becoming 0.30000000000000004 by adding.
  return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(12)))
}

/** Finds the point whose place is nearest; places have to ascend. */
export function nearest(places: number[], at: number): number {
  let low = 0
  let high = places.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if ((places[middle] as number) < at) low = middle + 1
    else high = middle
  }
  const before = places[low - 1]
  return before !== undefined && at - before < (places[low] as number) - at ? low - 1 : low
}

/** Finds the curve that passes nearest to a place; none when there is none within reach. */
export function closest(
  curves: { steps: number[]; values: number[] }[],
  x: Scale,
  y: Scale,
  at: number,
  from: number,
  reach = 40,
): number | null {
  let found: number | null = null
  let best = reach * reach
  curves.forEach((curve, index) => {
    for (let i = 0; i < curve.values.length; i++) {
      const across = x.place(curve.steps[i] as number) - at
      const up = y.place(curve.values[i] as number) - from
      const distance = across * across + up * up
      if (distance < best) {
        best = distance
        found = index
      }
    }
  })
  return found
}
