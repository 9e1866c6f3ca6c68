/** The state of an experiment or a trial, as a coloured word. */

import type { ExperimentState, TrialState } from '../api/schema'
import { words } from '../format'

type State = ExperimentState | TrialState

const TONES: Record<State, string> = {
  Created: 'bg-sunken text-muted',
  Pending: 'bg-sunken text-muted',
  Running: 'bg-accent-soft text-accent',
  Restarting: 'bg-accent-soft text-accent',
  Succeeded: 'bg-ok-soft text-ok',
  EarlyStopped: 'bg-ok-soft text-ok',
  Failed: 'bg-bad-soft text-bad',
  Killed: 'bg-warn-soft text-warn',
  MetricsUnavailable: 'bg-warn-soft text-warn',
}

export function StateBadge({ state, title }: { state: State; title?: string }) {
  const isActive = state === 'Running' || state === 'Restarting'
  return (
    <span
      title={title}
      className={`inline-flex items-center gap-1.5 whitespace-nowrap rounded-full px-2.5 py-0.5 text-xs font-medium ${TONES[state]}`}
    >
      <span
        className={`size-1.5 rounded-full bg-current ${isActive ? 'animate-[pulse-dot_1.6s_ease-in-out_infinite]' : ''}`}
      />
      {words(state)}
    </span>
  )
}
