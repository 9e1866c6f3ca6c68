/**
 * Streams of server-sent events that live as long as somebody looks: a hidden tab gives its
 * connection back, of which a browser has only six per server.
 */

/** How long to wait before a stream that the server refused is asked for again. */
const RETRY_MS = 3000

interface Listener {
  /** What is done with each event, by its name. */
  on: Record<string, (data: string) => void>
  /** The connection broke; `refused` when the server answered with an error. */
  lost?: (refused: boolean) => void
}

/** Opens a stream and keeps it open; returns what ends it. */
export function keepStream(url: string, { on, lost }: Listener): () => void {
  let source: EventSource | undefined
  let retry: ReturnType<typeof setTimeout> | undefined

  const close = () => {
    clearTimeout(retry)
    source?.close()
    source = undefined
  }
  const open = () => {
    close()
    const fresh = new EventSource(url)
    source = fresh
    for (const [name, handle] of Object.entries(on)) {
      fresh.addEventListener(name, (event) => handle((event as MessageEvent<string>).data))
    }
    fresh.addEventListener('error', () => {
      // A browser reconnects by itself unless it was refused.
      const refused = fresh.readyState === EventSource.CLOSED
      if (refused) retry = setTimeout(open, RETRY_MS)
      lost?.(refused)
    })
  }
  const look = () => (document.hidden ? close() : open())

  document.addEventListener('visibilitychange', look)
  look()
  return () => {
    document.removeEventListener('visibilitychange', look)
    close()
  }
}
