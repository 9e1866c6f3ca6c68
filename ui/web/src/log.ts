/** Lines of a log as the page keeps them. */

/** How many lines are kept; the rest is in the file. */
export const KEPT_LINES = 5000

/** Colours and cursor movements of terminals. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences start with one
const ESCAPES = /\u001b\[[0-9;?]*[A-Za-z]/g

/** Adds lines, without what only terminals understand, and drops the oldest ones. */
export function append(lines: string[], more: string[], kept = KEPT_LINES): string[] {
  return lines.concat(more.map(clean)).slice(-kept)
}

/** Of a line that was overwritten, as progress bars do, the last text stays. */
function clean(line: string): string {
  const text = line.replace(ESCAPES, '').replace(/\r$/, '')
  return text.slice(text.lastIndexOf('\r') + 1)
}
