/** Calls to the REST interface. Errors arrive as {@link ApiError}, whatever failed. */

import type { ErrorCause } from './schema'

export const API = '/ui/api/v1'

/** A request that failed: `code` is the HTTP status, or 0 when the server can't be reached. */
export class ApiError extends Error {
  constructor(
    readonly code: number,
    message: string,
    readonly causes: ErrorCause[] = [],
    /** Whether what stands in front of the interface does not know this browser. */
    readonly isAuth = false,
  ) {
    super(message)
  }
}

/** Sends a request and returns the JSON of its answer. */
export async function call<T>(path: string, init?: RequestInit): Promise<T> {
  const response = await send(path, init)
  const text = await response.text()
  return (text ? JSON.parse(text) : undefined) as T
}

async function send(path: string, init?: RequestInit): Promise<Response> {
  let response: Response
  try {
    response = await fetch(API + path, { credentials: 'same-origin', ...init })
  } catch {
    throw new ApiError(0, 'the server does not answer')
  }
  if (response.ok) return response
  throw readError(response.status, await response.text())
}

/** Reads the body of an error; what stands in front of the server may answer with plain text. */
export function readError(code: number, text: string): ApiError {
  try {
    const { error } = JSON.parse(text) as { error: { message: string; causes?: ErrorCause[] } }
    return new ApiError(code, error.message, error.causes)
  } catch {
    const message = text.trim().slice(0, 500) || `the server answered ${code}`
    return new ApiError(code, message, [], code === 401 || code === 403)
  }
}

/** Returns the path of an object below {@link API}. */
export function objectPath(
  kind: 'experiments' | 'trials',
  namespace: string,
  name: string,
): string {
  return `/namespaces/${encodeURIComponent(namespace)}/${kind}/${encodeURIComponent(name)}`
}
