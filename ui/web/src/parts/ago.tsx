/** A time as how long ago it was, with the exact time on hover. */

import { formatAgo, parseTime } from '../format'
import { useNow } from './now'

export function Ago({ time }: { time: string | null | undefined }) {
  const now = useNow()
  const exact = parseTime(time)
  return (
    <time
      dateTime={time ?? undefined}
      title={exact == null ? undefined : new Date(exact).toLocaleString()}
      className="whitespace-nowrap"
    >
      {formatAgo(time, now)}
    </time>
  )
}
