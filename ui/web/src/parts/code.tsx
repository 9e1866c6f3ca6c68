/** Data as YAML, to be read and copied. */

import { toYaml } from '../yaml'

export function Yaml({ value, label }: { value: unknown; label: string }) {
  return (
    <section
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: long text is scrolled with the keys
      tabIndex={0}
      className="max-h-[32rem] overflow-auto rounded-lg bg-sunken p-4"
    >
      <pre className="font-mono text-[0.8rem] leading-relaxed">{toYaml(value)}</pre>
    </section>
  )
}
