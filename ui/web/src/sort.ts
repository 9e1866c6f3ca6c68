/** The order of trials in their table. */

import type { TrialRow } from './api/schema'
import { span } from './format'

export type SortKey =
  | 'created'
  | 'state'
  | 'objective'
  | 'duration'
  | `metric:${string}`
  | `parameter:${string}`

export interface Order {
  key: SortKey
  descending: boolean
}

/** Sorts trials; those without a value come last in both directions, equals keep their order. */
export function sortTrials(trials: TrialRow[], { key, descending }: Order): TrialRow[] {
  const sign = descending ? -1 : 1
  const keyed = trials.map((trial, index) => ({
    trial,
    index,
    value: sortValue(trial, key, index),
  }))
  keyed.sort((a, b) => {
    if (a.value == null || b.value == null) {
      return Number(a.value == null) - Number(b.value == null) || a.index - b.index
    }
    return sign * compare(a.value, b.value) || a.index - b.index
  })
  return keyed.map((item) => item.trial)
}

function compare(a: number | string, b: number | string): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  return String(a).localeCompare(String(b))
}

function sortValue(trial: TrialRow, key: SortKey, index: number): number | string | null {
  if (key === 'created') return index
  if (key === 'state') return trial.state
  if (key === 'objective') return trial.objective ?? null
  if (key === 'duration') return trial.completed ? span(trial.started, trial.completed, 0) : null
  const name = key.slice(key.indexOf(':') + 1)
  if (key.startsWith('metric:')) {
    return trial.metrics.find((metric) => metric.name === name)?.value ?? null
  }
  const text = trial.parameters.find((parameter) => parameter.name === name)?.value
  if (text === undefined) return null
  const value = Number(text)
  return text.trim() === '' || Number.isNaN(value) ? text : value
}
