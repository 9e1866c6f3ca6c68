/** How numbers, times and texts are written for readers. */

const MISSING = '–'

/** Writes a number with at most six significant digits; what is very small or large with a power. */
export function formatNumber(value: number | null | undefined): string {
  if (value == null || !Number.isFinite(value)) return MISSING
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (size < 1e-4 || size >= 1e9) {
    return value
      .toExponential(3)
      .replace(/\.?0+e/, 'e')
      .replace('e+', 'e')
  }
  return String(Number(value.toPrecision(6)))
}

/** Shortens a value that is a long number and leaves words as they are. */
export function formatValue(text: string): string {
  const value = Number(text)
  return text.trim() === '' || !Number.isFinite(value) || text.length <= 8
    ? text
    : formatNumber(value)
}

/** Writes a span of milliseconds with its two largest units. */
export function formatDuration(milliseconds: number | null): string {
  if (milliseconds == null || !Number.isFinite(milliseconds) || milliseconds < 0) return MISSING
  const seconds = Math.floor(milliseconds / 1000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return `${hours} h ${minutes % 60} min`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** Writes how long ago a time was. */
export function formatAgo(time: string | null | undefined, now: number): string {
  const then = parseTime(time)
  if (then == null) return MISSING
  const seconds = Math.max(0, Math.round((now - then) / 1000))
  if (seconds < 10) return 'just now'
  if (seconds < 60) return `${seconds} s ago`
  const minutes = Math.round(seconds / 60)
  if (minutes < 60) return `${minutes} min ago`
  const hours = Math.round(minutes / 60)
  if (hours < 36) return `${hours} h ago`
  return `${Math.round(hours / 24)} d ago`
}

/** Returns the span between two times, up to now when the second is missing. */
export function span(
  from: string | null | undefined,
  to: string | null | undefined,
  now: number,
): number | null {
  const start = parseTime(from)
  return start == null ? null : (parseTime(to) ?? now) - start
}

/** Reads an RFC 3339 time as milliseconds. */
export function parseTime(time: string | null | undefined): number | null {
  if (!time) return null
  const value = Date.parse(time)
  return Number.isNaN(value) ? null : value
}

/** Writes a word with its count. */
export function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`
}

/** Splits a CamelCase word, such as a state, into words. */
export function words(text: string): string {
  return text.replace(/([a-z])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`)
}
