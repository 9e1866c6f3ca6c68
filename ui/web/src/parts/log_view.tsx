/** The log of a trial, followed while the trial writes. */

import { useEffect, useLayoutEffect, useRef, useState } from 'react'
import { API, objectPath } from '../api/client'
import { keepStream } from '../api/stream'
import { append } from '../log'

interface Log {
  lines: string[]
  /** Why there is no more to come. */
  end: string
}

const TAIL_LINES = 2000
const ENDED = 'ended'

function useLog(namespace: string, trial: string): Log {
  const [log, setLog] = useState<Log>({ lines: [], end: '' })
  useEffect(() => {
    const path = `${API}${objectPath('trials', namespace, trial)}/log`
    let stop = () => {}
    const finish = (end: string) => {
      stop()
      setLog((log) => ({ ...log, end }))
    }
    stop = keepStream(`${path}?follow=true&tailLines=${TAIL_LINES}`, {
      on: {
        // After a break the server starts again with the last lines.
        open: () => setLog({ lines: [], end: '' }),
        lines: (data) => {
          const more = JSON.parse(data) as string[]
          setLog((log) => ({ ...log, lines: append(log.lines, more) }))
        },
        failed: finish,
        end: () => finish(ENDED),
      },
    })
    return () => stop()
  }, [namespace, trial])
  return log
}

export function LogView({ namespace, trial }: { namespace: string; trial: string }) {
  const { lines, end } = useLog(namespace, trial)
  const box = useRef<HTMLElement>(null)
  const isAtEnd = useRef(true)
  // biome-ignore lint/correctness/useExhaustiveDependencies: new lines move the end
  useLayoutEffect(() => {
    if (box.current && isAtEnd.current) box.current.scrollTop = box.current.scrollHeight
  }, [lines])
  const failed = end && end !== ENDED
  return (
    <>
      <section
        ref={box}
        aria-label={`Log of ${trial}`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a long log is scrolled with the keys
        tabIndex={0}
        onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
          isAtEnd.current = scrollHeight - scrollTop - clientHeight < 24
        }}
        className="h-80 overflow-auto rounded-lg bg-sunken p-4"
      >
        <pre className="whitespace-pre-wrap break-words font-mono text-[0.8rem] leading-relaxed">
          {lines.join('\n')}
        </pre>
        {lines.length === 0 && (
          <p className="text-sm text-muted">
            {failed ? end : end ? 'The trial wrote nothing.' : 'Waiting for the trial to write…'}
          </p>
        )}
      </section>
      <p role="status" className="mt-2 text-xs text-muted">
        {failed && lines.length > 0 ? end : end ? 'The trial writes no more.' : 'Following.'}
      </p>
    </>
  )
}
