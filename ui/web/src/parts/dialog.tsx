/** A modal dialog, as browsers have it: focus stays inside, Escape closes it. */

import { type ReactNode, useEffect, useId, useRef } from 'react'

export function Dialog(props: { title: string; onClose: () => void; children: ReactNode }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    dialog.current?.showModal()
  }, [])
  return (
    <dialog
      ref={dialog}
      aria-labelledby={id}
      onClose={props.onClose}
      className="card m-auto w-[min(30rem,calc(100vw-2rem))] p-6 text-ink shadow-2xl backdrop:bg-black/40"
    >
      <h2 id={id} className="mb-3 text-lg font-semibold">
        {props.title}
      </h2>
      {props.children}
    </dialog>
  )
}
