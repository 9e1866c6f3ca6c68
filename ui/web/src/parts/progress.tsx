/** How far an experiment is: its trials by state, of those that it may make. */

import type { ExperimentSummary } from '../api/schema'
import { plural } from '../format'

const PARTS = [
  ['succeeded', 'succeeded', 'bg-ok'],
  ['earlyStopped', 'stopped early', 'bg-ok/60'],
  ['failed', 'failed', 'bg-bad'],
  ['metricsUnavailable', 'without metrics', 'bg-warn'],
  ['killed', 'killed', 'bg-warn/60'],
  ['running', 'running', 'bg-accent'],
] as const

export function Progress({ experiment }: { experiment: ExperimentSummary }) {
  const { counts, budget } = experiment
  const total = Math.max(budget.maxTrials ?? 0, counts.total, 1)
  const ended = counts.total - counts.running - counts.pending
  const text = PARTS.filter(([key]) => counts[key] > 0)
    .map(([key, word]) => `${counts[key]} ${word}`)
    .join(', ')
  return (
    <div
      role="progressbar"
      aria-label={`Trials of ${experiment.name}`}
      aria-valuemin={0}
      aria-valuemax={total}
      aria-valuenow={ended}
      aria-valuetext={`${ended} of ${plural(total, 'trial')} ended${text && `: ${text}`}`}
      title={text || 'no trials yet'}
      className="flex h-1.5 w-full overflow-hidden rounded-full bg-line"
    >
      {PARTS.map(([key, , tone]) => (
        <span
          key={key}
          className={`${tone} transition-[width] duration-300`}
          style={{ width: `${(100 * counts[key]) / total}%` }}
        />
      ))}
    </div>
  )
}

/** Names the states that occur, with their colours. */
export function ProgressLegend({ experiment }: { experiment: ExperimentSummary }) {
  const { counts } = experiment
  return (
    <ul className="flex flex-wrap gap-x-4 gap-y-1 text-xs text-muted">
      {PARTS.filter(([key]) => counts[key] > 0).map(([key, word, tone]) => (
        <li key={key} className="number flex items-center gap-1.5">
          <span className={`size-2 rounded-full ${tone}`} />
          {counts[key]} {word}
        </li>
      ))}
      {counts.pending > 0 && <li className="number">{counts.pending} pending</li>}
    </ul>
  )
}
