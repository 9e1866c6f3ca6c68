/** The best-so-far curve, extended as trials end; the server starts it by the same rule. */

import type { CurvePoint, TrialRow } from './api/schema'

/** Adds trials to a curve: those that succeeded or were stopped early and have an objective. */
export function extend(points: CurvePoint[], rows: TrialRow[], maximize: boolean): CurvePoint[] {
  const known = new Set(points.map((point) => point.trial))
  const ended = rows.filter((row) => counts(row) && !known.has(row.name)).map(toTimed)
  if (ended.length === 0) return points
  ended.sort(byTime)

  const last = points.at(-1)
  const isLater = !last || byTime(timed(last), ended[0] as Timed) < 0
  if (isLater) return points.concat(follow(ended, last?.best, maximize))
  const all = points.map(timed).concat(ended).sort(byTime)
  return follow(all, undefined, maximize)
}

/** A point with its time as a number, read once. */
interface Timed {
  at: number
  trial: string
  time: string
  value: number
}

function timed({ trial, time, value }: CurvePoint): Timed {
  return { at: Date.parse(time), trial, time, value }
}

function toTimed(row: TrialRow): Timed {
  const time = row.completed as string
  return { at: Date.parse(time), trial: row.name, time, value: row.objective as number }
}

function byTime(a: Timed, b: Timed): number {
  return a.at - b.at || (a.trial < b.trial ? -1 : 1)
}

function follow(sorted: Timed[], before: number | undefined, maximize: boolean): CurvePoint[] {
  let best = before
  return sorted.map(({ trial, time, value }) => {
    const improved = best === undefined || (maximize ? value > best : value < best)
    best = improved || best === undefined ? value : best
    return { trial, time, value, best, improved }
  })
}

function counts(row: TrialRow): boolean {
  const ended = row.state === 'Succeeded' || row.state === 'EarlyStopped'
  return ended && row.completed != null && row.objective != null
}
