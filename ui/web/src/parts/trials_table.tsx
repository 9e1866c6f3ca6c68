/** The trials of an experiment: sortable, filtered by state, the best one marked. */

import { type ReactNode, useMemo, useState } from 'react'
import { Link } from 'wouter'
import type { ExperimentSummary, TrialRow } from '../api/schema'
import { formatNumber, formatValue, words } from '../format'
import { type Order, type SortKey, sortTrials } from '../sort'
import { Elapsed } from './elapsed'
import { StateBadge } from './state'

const PAGE = 50

export function TrialsTable(props: { experiment: ExperimentSummary; trials: TrialRow[] }) {
  const { experiment, trials } = props
  const [order, setOrder] = useState<Order>({ key: 'created', descending: true })
  const [state, setState] = useState('')
  const [page, setPage] = useState(0)

  const names = useMemo(() => parameterNames(trials), [trials])
  const states = useMemo(() => [...new Set(trials.map((trial) => trial.state))], [trials])
  const sorted = useMemo(() => {
    const shown = state ? trials.filter((trial) => trial.state === state) : trials
    return sortTrials(shown, order)
  }, [trials, state, order])
  const pages = Math.max(1, Math.ceil(sorted.length / PAGE))
  const at = Math.min(page, pages - 1)
  const columns: [SortKey, string][] = [
    ['created', 'Trial'],
    ['state', 'Status'],
    ['objective', experiment.objective.metric || 'Objective'],
    ...experiment.objective.additionalMetrics.map((name): [SortKey, string] => [
      `metric:${name}`,
      name,
    ]),
    ...names.map((name): [SortKey, string] => [`parameter:${name}`, name]),
    ['duration', 'Duration'],
  ]

  return (
    <>
      <div className="mb-2 flex flex-wrap items-center gap-3 text-sm">
        <label className="flex items-center gap-2 text-muted">
          Status
          <select
            className="field text-ink"
            value={state}
            onChange={(event) => setState(event.target.value)}
          >
            <option value="">All ({trials.length})</option>
            {states.map((name) => (
              <option key={name} value={name}>
                {words(name)}
              </option>
            ))}
          </select>
        </label>
        {pages > 1 && <Pager page={at} pages={pages} onChange={setPage} />}
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a wide table is scrolled with the keys */}
      <div className="-mx-4 overflow-x-auto sm:-mx-5" tabIndex={0}>
        <table className="table">
          <caption className="sr-only">Trials of {experiment.name}</caption>
          <thead>
            <tr>
              {columns.map(([key, title]) => (
                <Heading key={key} name={key} order={order} onSort={setOrder}>
                  {title}
                </Heading>
              ))}
            </tr>
          </thead>
          <tbody>
            {sorted.slice(at * PAGE, (at + 1) * PAGE).map((trial) => (
              <Row key={trial.name} trial={trial} experiment={experiment} parameters={names} />
            ))}
          </tbody>
        </table>
      </div>
    </>
  )
}

function parameterNames(trials: TrialRow[]): string[] {
  const names = new Set<string>()
  for (const trial of trials) for (const parameter of trial.parameters) names.add(parameter.name)
  return [...names]
}

function Heading(props: {
  name: SortKey
  order: Order
  onSort: (order: Order) => void
  children: ReactNode
}) {
  const { name, order, onSort } = props
  const isSorted = order.key === name
  const sorting = order.descending ? 'descending' : 'ascending'
  return (
    <th scope="col" aria-sort={isSorted ? sorting : undefined}>
      <button
        type="button"
        className={`font-medium hover:text-ink ${isSorted ? 'text-ink' : ''}`}
        onClick={() => onSort({ key: name, descending: isSorted ? !order.descending : false })}
      >
        {props.children}
        <span aria-hidden className={isSorted ? '' : 'invisible'}>
          {order.descending ? ' ↓' : ' ↑'}
        </span>
      </button>
    </th>
  )
}

function Row(props: { trial: TrialRow; experiment: ExperimentSummary; parameters: string[] }) {
  const { trial, experiment, parameters } = props
  const isBest = experiment.best?.trial === trial.name
  const hasProblem = ['Failed', 'MetricsUnavailable', 'Killed'].includes(trial.state)
  const value = (name: string) => trial.parameters.find((item) => item.name === name)?.value ?? ''
  const metric = (name: string) => trial.metrics.find((item) => item.name === name)
  return (
    <tr className={isBest ? 'bg-gold-soft' : 'hover:bg-sunken'}>
      <td className="whitespace-nowrap">
        <Link className="link" href={`/trials/${experiment.namespace}/${trial.name}`}>
          <TrialName name={trial.name} experiment={experiment.name} />
        </Link>
        {isBest && <span className="ml-2 text-xs font-semibold text-gold">★ best</span>}
      </td>
      <td>
        <StateBadge state={trial.state} />
        {hasProblem && trial.message && (
          <p className="mt-1 line-clamp-3 max-w-72 text-xs text-muted" title={trial.message}>
            {trial.message}
          </p>
        )}
      </td>
      <td className="number font-medium">{formatNumber(trial.objective)}</td>
      {experiment.objective.additionalMetrics.map((name) => (
        <td key={name} className="number">
          {metric(name)?.value == null
            ? (metric(name)?.text ?? '–')
            : formatNumber(metric(name)?.value)}
        </td>
      ))}
      {parameters.map((name) => (
        <td key={name} className="number" title={value(name)}>
          {formatValue(value(name))}
        </td>
      ))}
      <td className="number whitespace-nowrap text-muted">
        {trial.state === 'Pending' ? '–' : <Elapsed from={trial.started} to={trial.completed} />}
      </td>
    </tr>
  )
}

/** Leaves out what all names begin with where there is little room. */
function TrialName({ name, experiment }: { name: string; experiment: string }) {
  const prefix = `${experiment}-`
  if (!name.startsWith(prefix)) return name
  return (
    <>
      <span className="max-md:sr-only">{prefix}</span>
      {name.slice(prefix.length)}
    </>
  )
}

function Pager(props: { page: number; pages: number; onChange: (page: number) => void }) {
  const { page, pages, onChange } = props
  return (
    <div className="number ml-auto flex items-center gap-2">
      <button
        type="button"
        className="button"
        disabled={page === 0}
        onClick={() => onChange(page - 1)}
      >
        Previous
      </button>
      <span className="text-muted">
        {page + 1} of {pages}
      </span>
      <button
        type="button"
        className="button"
        disabled={page === pages - 1}
        onClick={() => onChange(page + 1)}
      >
        Next
      </button>
    </div>
  )
}
