/** How long something took, or has been taking. */

import type { ReactNode } from 'react'
import { formatDuration, span } from '../format'
import { useNow } from './now'

interface Props {
  from: string | null | undefined
  to: string | null | undefined
}

export function Elapsed({ from, to }: Props): ReactNode {
  return to ? formatDuration(span(from, to, 0)) : <Ticking from={from} />
}

function Ticking({ from }: { from: string | null | undefined }): ReactNode {
  const now = useNow(1000)
  return formatDuration(span(from, null, now))
}
