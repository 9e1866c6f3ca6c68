/** Changes how many trials an experiment may make. */

import { type FormEvent, useState } from 'react'
import { useEditBudget } from '../api/queries'
import type { BudgetEdit, ExperimentSummary } from '../api/schema'
import { Causes } from './causes'
import { Dialog } from './dialog'

const FIELDS = [
  ['maxTrials', 'Trials in all'],
  ['parallelTrials', 'Trials at a time'],
  ['maxFailedTrials', 'Failed trials at which it fails'],
] as const

export function BudgetDialog(props: { experiment: ExperimentSummary; onClose: () => void }) {
  const { experiment, onClose } = props
  const { mutate, error, isPending } = useEditBudget(experiment.namespace, experiment.name)
  const [texts, setTexts] = useState<Record<string, string>>(() =>
    Object.fromEntries(FIELDS.map(([key]) => [key, String(experiment.budget[key] ?? '')])),
  )
  const save = (event: FormEvent) => {
    event.preventDefault()
    const edit: BudgetEdit = {}
    for (const [key] of FIELDS) if (texts[key]) edit[key] = Number(texts[key])
    mutate(edit, { onSuccess: onClose })
  }
  return (
    <Dialog title="Edit budget" onClose={onClose}>
      <form onSubmit={save} className="space-y-3">
        {FIELDS.map(([key, label]) => (
          <label key={key} className="flex items-center justify-between gap-4">
            {label}
            <input
              type="number"
              min={0}
              step={1}
              className="field number w-28"
              placeholder="no limit"
              value={texts[key]}
              onChange={(event) => setTexts({ ...texts, [key]: event.target.value })}
            />
          </label>
        ))}
        {error && <Causes error={error} />}
        <div className="flex justify-end gap-2 pt-2">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="button button-primary" disabled={isPending}>
            Save
          </button>
        </div>
      </form>
    </Dialog>
  )
}
