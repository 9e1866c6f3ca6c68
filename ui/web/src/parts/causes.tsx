/** What is wrong with something that was sent, field by field. */

import type { ApiError } from '../api/client'

export function Causes({ error }: { error: ApiError }) {
  return (
    <div role="alert" className="rounded-lg border border-bad/30 bg-bad-soft px-4 py-3 text-sm">
      {error.causes.length === 0 ? (
        <p className="break-words text-bad">{error.message}</p>
      ) : (
        <ul className="space-y-1.5">
          {error.causes.map((cause, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a field may have the same error twice
            <li key={index} className="break-words">
              <code className="font-mono text-xs font-semibold text-bad">{cause.field}</code>{' '}
              {cause.message}
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}
