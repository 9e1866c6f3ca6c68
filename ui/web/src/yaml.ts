/** Writes plain data as YAML for reading; the order of keys stays. */

type Data = null | boolean | number | string | Data[] | { [key: string]: Data }

/** Returns the YAML of a value, without a line break at its end. */
export function toYaml(value: unknown): string {
  return block(value as Data, '').replace(/^\n/, '')
}

function block(value: Data, indent: string): string {
  if (Array.isArray(value)) {
    if (value.length === 0) return ' []'
    return value.map((item) => `\n${indent}-${nested(item, `${indent}  `)}`).join('')
  }
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value)
    if (entries.length === 0) return ' {}'
    return entries
      .map(([key, item]) => {
        const deeper = Array.isArray(item) ? indent : `${indent}  `
        return `\n${indent}${scalar(key)}:${block(item, deeper)}`
      })
      .join('')
  }
  if (typeof value === 'string' && isText(value)) {
    const lines = value.replace(/\n$/, '').split('\n')
    const head = value.endsWith('\n') ? '|' : '|-'
    return ` ${head}${lines.map((line) => (line ? `\n${indent}${line}` : '\n')).join('')}`
  }
  return ` ${scalar(value)}`
}

/** Puts the first key of a mapping on the line of its dash. */
function nested(item: Data, indent: string): string {
  const text = block(item, indent)
  const isMapping = item !== null && typeof item === 'object' && !Array.isArray(item)
  return isMapping && text.startsWith('\n') ? ` ${text.slice(1 + indent.length)}` : text
}

function isText(value: string): boolean {
  return /\n./.test(value) && !/^\s|[^\S\n]\n|\n\n$|[\r\t]/.test(value)
}

const PLAIN = /^[A-Za-z_./$][\w./$@{}()+-]*( [\w./$@{}()+=-]+)*$/
const RESERVED = /^(true|false|null|yes|no|on|off|y|n|~)$/i

function scalar(value: null | boolean | number | string): string {
  if (typeof value !== 'string') return String(value)
  const isPlain = PLAIN.test(value) && !RESERVED.test(value) && Number.isNaN(Number(value))
  return isPlain ? value : JSON.stringify(value)
}
