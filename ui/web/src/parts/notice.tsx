/** A text in place of content: nothing there yet, or something went wrong. */

import type { ReactNode } from 'react'
import { ApiError } from '../api/client'

export function Notice({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="card px-6 py-14 text-center">
      <h2 className="text-lg font-semibold">{title}</h2>
      <div className="mx-auto mt-2 max-w-xl text-muted">{children}</div>
    </div>
  )
}

/** Says what failed and what can be done about it. */
export function ErrorNotice({ error, retry }: { error: Error; retry?: () => void }) {
  if (error instanceof ApiError && error.isAuth) {
    return (
      <Notice title="This browser is not signed in">
        Open the address that <code className="font-mono text-ink">diwan up</code> printed when it
        started; it carries a key that signs this browser in.
      </Notice>
    )
  }
  const isMissing = error instanceof ApiError && error.code === 404
  return (
    <Notice title={isMissing ? 'Not found' : 'This could not be loaded'}>
      <p className="break-words">{error.message}</p>
      {retry && !isMissing && (
        <button type="button" className="button mt-4 text-ink" onClick={retry}>
          Try again
        </button>
      )}
    </Notice>
  )
}

/** Stands where content is being loaded; shown late, so that fast answers don't flicker. */
export function Loading() {
  return (
    <p
      role="status"
      className="animate-[fade_0s_linear_400ms_backwards] py-14 text-center text-muted"
    >
      Loading…
    </p>
  )
}
