import { expect, test } from 'vitest'
import { extend } from '../curve'
import { isDeleted, mergeExperiment, mergeExperiments, mergeTrials } from './merge'
import type { ExperimentSummary, LiveBatch, LiveChange, TrialRow } from './schema'

function experiment(name: string, created: string, trials = 0): ExperimentSummary {
  const none = { pending: 0, running: 0, succeeded: 0, failed: 0, killed: 0 }
  return {
    namespace: 'default',
    name,
    state: 'Running',
    reason: '',
    message: '',
    deleting: false,
    created,
    objective: { metric: 'loss', maximize: false, additionalMetrics: [] },
    algorithm: 'tpe',
    earlyStopping: '',
    budget: {},
    counts: { total: trials, earlyStopped: 0, metricsUnavailable: 0, ...none },
  }
}

function trial(name: string, second: number, objective: number | null): TrialRow {
  return {
    name,
    state: 'Succeeded',
    reason: '',
    message: '',
    parameters: [],
    metrics: [],
    objective,
    completed: new Date(second * 1000).toISOString(),
  }
}

function batch(experiment: string, ...changes: LiveChange[]): LiveBatch {
  return { namespace: 'default', experiment, changes }
}

const list = {
  items: [experiment('b', '2026-01-02T00:00:00Z'), experiment('a', '2026-01-01T00:00:00Z')],
}
const names = (items: { name: string }[]) => items.map((item) => item.name)

test('a changed experiment keeps its place', () => {
  const summary = experiment('a', '2026-01-01T00:00:00Z', 7)
  const merged = mergeExperiments(list, batch('a', { kind: 'experiment', summary }))
  expect(names(merged.items)).toEqual(['b', 'a'])
  expect(merged.items[1]?.counts.total).toBe(7)
})

test('a new experiment goes where its age puts it', () => {
  const at = (created: string) =>
    names(
      mergeExperiments(list, batch('c', { kind: 'experiment', summary: experiment('c', created) }))
        .items,
    )
  expect(at('2026-01-03T00:00:00Z')).toEqual(['c', 'b', 'a'])
  expect(at('2026-01-01T12:00:00Z')).toEqual(['b', 'c', 'a'])
  expect(at('2025-01-01T00:00:00Z')).toEqual(['b', 'a', 'c'])
})

test('a deleted experiment leaves, one of the same name elsewhere stays', () => {
  const gone = batch('a', { kind: 'experimentDeleted' })
  expect(isDeleted(gone)).toBe(true)
  expect(names(mergeExperiments(list, gone).items)).toEqual(['b'])
  expect(names(mergeExperiments(list, { ...gone, namespace: 'other' }).items)).toEqual(['b', 'a'])
})

test('a batch without the experiment leaves list and page as they are', () => {
  const trials = batch('a', { kind: 'trialDeleted', name: 'a-1' })
  const detail = { summary: experiment('a', ''), conditions: [], spec: {} }
  expect(mergeExperiments(list, trials)).toBe(list)
  expect(mergeExperiment(detail, trials)).toBe(detail)
})

test('trials are replaced in place, added at the end and removed', () => {
  const before = { items: [trial('a-1', 1, 1), trial('a-2', 2, 2)] }
  const after = mergeTrials(
    before,
    batch(
      'a',
      { kind: 'trial', row: trial('a-3', 3, 3) },
      { kind: 'trial', row: trial('a-1', 1, 9) },
      { kind: 'trialDeleted', name: 'a-2' },
    ),
  )
  expect(names(after.items)).toEqual(['a-1', 'a-3'])
  expect(after.items[0]?.objective).toBe(9)
  expect(mergeTrials(before, batch('a'))).toBe(before)
})

test('the curve grows with trials that ended, each once', () => {
  const first = extend([], [trial('a', 1, 3), trial('b', 2, 4)], false)
  expect(first.map((point) => [point.best, point.improved])).toEqual([
    [3, true],
    [3, false],
  ])
  const second = extend(first, [trial('b', 2, 4), trial('c', 3, 1), trial('d', 4, null)], false)
  expect(second.map((point) => point.best)).toEqual([3, 3, 1])
  expect(extend(second, [trial('c', 3, 1)], false)).toBe(second)
})

test('a trial that was told late takes its place on the curve', () => {
  const points = extend(extend([], [trial('b', 2, 4)], true), [trial('a', 1, 5)], true)
  expect(points.map((point) => [point.trial, point.best, point.improved])).toEqual([
    ['a', 5, true],
    ['b', 5, false],
  ])
})

test('trials that did not end well are not on the curve', () => {
  const failed: TrialRow = { ...trial('a', 1, 0), state: 'Failed' }
  expect(extend([], [failed], false)).toEqual([])
})
