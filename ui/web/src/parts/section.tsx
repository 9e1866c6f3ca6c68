/** A card with a heading. */

import type { ReactNode } from 'react'

export function Section(props: { title: string; aside?: ReactNode; children: ReactNode }) {
  return (
    <section className="card mt-5">
      <div className="flex min-h-12 flex-wrap items-center gap-x-4 gap-y-2 px-4 pt-2 sm:px-5">
        <h2 className="mr-auto font-semibold">{props.title}</h2>
        {props.aside}
      </div>
      <div className="px-4 pb-4 pt-1 sm:px-5">{props.children}</div>
    </section>
  )
}

/** A name and its value, in a list of facts. */
export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-xs text-muted">{name}</dt>
      <dd className="number mt-0.5 break-words font-medium">{children}</dd>
    </div>
  )
}
