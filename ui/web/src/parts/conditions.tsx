/** The conditions of an object, the latest change first. */

import type { ConditionView } from '../api/schema'
import { words } from '../format'
import { Ago } from './ago'

export function Conditions({ items }: { items: ConditionView[] }) {
  if (items.length === 0) return <p className="text-sm text-muted">None yet.</p>
  return (
    <ol className="space-y-3 text-sm">
      {items.toReversed().map((item) => (
        <li key={item.type} className="grid grid-cols-[auto_1fr_auto] items-baseline gap-x-3">
          <span
            className={`size-2 rounded-full ${item.status === 'True' ? 'bg-accent' : 'bg-line'}`}
          />
          <span>
            <span className="font-medium">{words(item.type)}</span>
            {item.status !== 'True' && <span className="text-muted"> ({item.status})</span>}
            <span className="ml-2 text-xs text-muted">{item.reason}</span>
            <span className="block whitespace-pre-wrap break-words text-muted">{item.message}</span>
          </span>
          <span className="text-xs text-muted">
            <Ago time={item.since} />
          </span>
        </li>
      ))}
    </ol>
  )
}
