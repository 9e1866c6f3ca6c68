/** How pushed changes are merged into what was loaded. Nothing here touches the network. */

import { extend } from '../curve'
import type {
  Curve,
  ExperimentDetail,
  ExperimentList,
  ExperimentSummary,
  LiveBatch,
  TrialList,
  TrialRow,
} from './schema'

/** Merges the change of an experiment into a list, newest first. */
export function mergeExperiments(list: ExperimentList, batch: LiveBatch): ExperimentList {
  const { found, deleted } = ownChange(batch)
  if (!found && !deleted) return list
  const others = list.items.filter(
    (item) => item.namespace !== batch.namespace || item.name !== batch.experiment,
  )
  if (!found) return { items: others }
  const known = list.items.findIndex(
    (item) => item.namespace === batch.namespace && item.name === batch.experiment,
  )
  if (known >= 0) return { items: list.items.with(known, found) }
  const after = others.findIndex((item) => (item.created ?? '') <= (found.created ?? ''))
  return { items: others.toSpliced(after < 0 ? others.length : after, 0, found) }
}

/** Merges the change of an experiment into its page. */
export function mergeExperiment(detail: ExperimentDetail, batch: LiveBatch): ExperimentDetail {
  const { found } = ownChange(batch)
  return found ? { ...detail, summary: found } : detail
}

/** Whether a batch says that its experiment is gone. */
export function isDeleted(batch: LiveBatch): boolean {
  return ownChange(batch).deleted
}

/** Returns the trials of a batch that are new or changed. */
export function changedTrials(batch: LiveBatch): TrialRow[] {
  return batch.changes.flatMap((change) => (change.kind === 'trial' ? [change.row] : []))
}

/** Merges the changes of trials into a list, oldest first. */
export function mergeTrials(list: TrialList, batch: LiveBatch): TrialList {
  const rows = new Map(list.items.map((row) => [row.name, row]))
  let changed = false
  for (const change of batch.changes) {
    if (change.kind === 'trial') rows.set(change.row.name, change.row)
    else if (change.kind === 'trialDeleted') rows.delete(change.name)
    else continue
    changed = true
  }
  return changed ? { items: [...rows.values()] } : list
}

/** Merges trials that ended into the best-so-far curve. */
export function mergeCurve(curve: Curve, batch: LiveBatch, maximize: boolean): Curve {
  return { points: extend(curve.points, changedTrials(batch), maximize) }
}

function ownChange(batch: LiveBatch): { found?: ExperimentSummary; deleted: boolean } {
  for (const change of batch.changes) {
    if (change.kind === 'experiment') return { found: change.summary, deleted: false }
    if (change.kind === 'experimentDeleted') return { deleted: true }
  }
  return { deleted: false }
}
