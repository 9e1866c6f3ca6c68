/** The Kubernetes events of an object. */

import { useEvents } from '../api/queries'
import { Ago } from './ago'

interface Props {
  kind: 'experiments' | 'trials'
  namespace: string
  name: string
}

export function Events({ kind, namespace, name }: Props) {
  const { data, error } = useEvents(kind, namespace, name)
  if (error && !data) return <p className="text-sm text-muted">{error.message}</p>
  if (!data?.items.length) return <p className="text-sm text-muted">No events.</p>
  return (
    <ul className="max-h-80 space-y-2 overflow-y-auto text-sm">
      {data.items.map((event) => (
        <li
          key={`${event.object} ${event.reason} ${event.message}`}
          className="grid grid-cols-[1fr_auto] gap-x-3"
        >
          <span className="min-w-0 break-words">
            <span className={event.type === 'Warning' ? 'font-medium text-warn' : 'font-medium'}>
              {event.reason}
            </span>
            {event.count > 1 && <span className="number text-muted"> ×{event.count}</span>}
            <span className="block text-muted">{event.message}</span>
          </span>
          <span className="text-xs text-muted">
            <Ago time={event.time} />
          </span>
        </li>
      ))}
    </ul>
  )
}
