/** The current time for texts such as "2 min ago". */

import { useEffect, useState } from 'react'

/** Returns the time and renders again when it has moved on by a step. */
export function useNow(step = 5000): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), step)
    return () => clearInterval(timer)
  }, [step])
  return now
}
