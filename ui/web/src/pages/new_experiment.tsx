/** A new experiment, written as YAML and checked by the server. */

import { useState } from 'react'
import { useLocation } from 'wouter'
import { useCreate, useNamespaces } from '../api/queries'
import { Causes } from '../parts/causes'
import { useTitle } from '../parts/title'
import SAMPLE from './sample.yaml?raw'

export function NewExperimentPage() {
  useTitle('New experiment')
  const [text, setText] = useState(SAMPLE)
  const [namespace, setNamespace] = useState('default')
  const [, navigate] = useLocation()
  const namespaces = useNamespaces()
  const { mutate, reset, error, isPending, isSuccess, variables } = useCreate()

  const send = (dryRun: boolean) =>
    mutate(
      { text, namespace, dryRun },
      {
        onSuccess: (created) => {
          if (!dryRun) navigate(`/experiments/${created.namespace}/${created.name}`)
        },
      },
    )
  const edit = (value: string) => {
    setText(value)
    reset()
  }

  return (
    <>
      <h1 className="mb-5 text-2xl font-semibold">New experiment</h1>
      <div className="card p-4 sm:p-5">
        <div className="mb-3 flex flex-wrap items-center gap-3">
          <label htmlFor="yaml" className="mr-auto text-sm text-muted">
            Experiment as YAML or JSON
          </label>
          <label className="flex items-center gap-2 text-sm text-muted">
            Namespace
            <select
              className="field text-ink"
              value={namespace}
              onChange={(event) => setNamespace(event.target.value)}
            >
              {(namespaces.data?.items ?? ['default']).map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
        </div>
        <textarea
          id="yaml"
          spellCheck={false}
          value={text}
          onChange={(event) => edit(event.target.value)}
          className="h-[32rem] w-full resize-y rounded-lg border border-line bg-sunken p-4 font-mono text-[0.8rem] leading-relaxed"
        />
        <div className="mt-3 space-y-3">
          {error && <Causes error={error} />}
          {isSuccess && variables?.dryRun && (
            <p role="status" className="text-sm text-ok">
              Nothing is wrong with it.
            </p>
          )}
          <div className="flex justify-end gap-2">
            <button
              type="button"
              className="button"
              disabled={isPending}
              onClick={() => send(true)}
            >
              Check
            </button>
            <button
              type="button"
              className="button button-primary"
              disabled={isPending}
              onClick={() => send(false)}
            >
              Create
            </button>
          </div>
        </div>
      </div>
    </>
  )
}
