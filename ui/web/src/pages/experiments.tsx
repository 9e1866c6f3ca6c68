/** The list of experiments. */

import { Link, useSearchParams } from 'wouter'
import { useLive } from '../api/live'
import { useExperiments, useNamespaces } from '../api/queries'
import type { ExperimentSummary } from '../api/schema'
import { formatNumber } from '../format'
import { Ago } from '../parts/ago'
import { ErrorNotice, Loading, Notice } from '../parts/notice'
import { Progress } from '../parts/progress'
import { StateBadge } from '../parts/state'
import { useTitle } from '../parts/title'

export function ExperimentsPage() {
  useTitle('Experiments')
  const [search, setSearch] = useSearchParams()
  const namespace = search.get('namespace') ?? ''
  const filter = search.get('q') ?? ''
  useLive(namespace)
  const { data, error, refetch } = useExperiments(namespace)

  const set = (key: string, value: string) =>
    setSearch(
      (before) => {
        const after = new URLSearchParams(before)
        if (value) after.set(key, value)
        else after.delete(key)
        return after
      },
      { replace: true },
    )

  const shown = data?.items.filter((item) => item.name.includes(filter.trim().toLowerCase()))
  return (
    <>
      <div className="mb-5 flex flex-wrap items-center gap-3">
        <h1 className="mr-auto text-2xl font-semibold">Experiments</h1>
        <input
          type="search"
          className="field w-44"
          placeholder="Filter by name"
          aria-label="Filter by name"
          value={filter}
          onChange={(event) => set('q', event.target.value)}
        />
        <NamespacePicker value={namespace} onChange={(value) => set('namespace', value)} />
      </div>
      {error && !data ? (
        <ErrorNotice error={error} retry={refetch} />
      ) : !shown ? (
        <Loading />
      ) : data?.items.length === 0 ? (
        <Empty />
      ) : shown.length === 0 ? (
        <Notice title="No experiment has such a name" />
      ) : (
        <Table items={shown} withNamespace={!namespace} />
      )}
    </>
  )
}

function NamespacePicker(props: { value: string; onChange: (value: string) => void }) {
  const { data } = useNamespaces()
  const names = new Set(data?.items)
  if (props.value) names.add(props.value)
  return (
    <select
      className="field"
      aria-label="Namespace"
      value={props.value}
      onChange={(event) => props.onChange(event.target.value)}
    >
      <option value="">All namespaces</option>
      {[...names].map((name) => (
        <option key={name}>{name}</option>
      ))}
    </select>
  )
}

function Empty() {
  return (
    <Notice title="No experiments yet">
      <p>
        Start one with{' '}
        <code className="whitespace-nowrap font-mono text-ink">
          kubectl apply -f experiment.yaml
        </code>
        , from Python with <code className="font-mono text-ink">KatibClient().tune()</code>, or{' '}
        <Link className="link" href="/new">
          write one here
        </Link>
        . It appears on this page by itself.
      </p>
    </Notice>
  )
}

function Table({ items, withNamespace }: { items: ExperimentSummary[]; withNamespace: boolean }) {
  return (
    <div className="card overflow-x-auto">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col" className="hidden sm:table-cell">
              Status
            </th>
            <th scope="col" className="w-[26%]">
              Trials
            </th>
            <th scope="col">Best</th>
            <th scope="col" className="hidden lg:table-cell">
              Algorithm
            </th>
            <th scope="col" className="hidden md:table-cell">
              Created
            </th>
          </tr>
        </thead>
        <tbody>
          {items.map((item) => (
            <Row
              key={`${item.namespace}/${item.name}`}
              experiment={item}
              withNamespace={withNamespace}
            />
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Row(props: { experiment: ExperimentSummary; withNamespace: boolean }) {
  const { experiment, withNamespace } = props
  const { counts, budget, best, objective } = experiment
  const ended = counts.total - counts.running - counts.pending
  return (
    <tr className={`hover:bg-sunken ${experiment.deleting ? 'opacity-50' : ''}`}>
      <td>
        <Link
          href={`/experiments/${experiment.namespace}/${experiment.name}`}
          className="link break-words font-medium"
        >
          {experiment.name}
        </Link>
        {withNamespace && <div className="text-xs text-muted">{experiment.namespace}</div>}
        <div className="mt-1 sm:hidden">
          <StateBadge state={experiment.state} />
        </div>
      </td>
      <td className="hidden sm:table-cell">
        <StateBadge state={experiment.state} title={experiment.message} />
      </td>
      <td className="min-w-20">
        <div className="number mb-1.5 flex justify-between gap-2 text-xs">
          <span>
            {ended}
            <span className="text-muted"> / {budget.maxTrials ?? '∞'}</span>
          </span>
          {counts.failed > 0 && (
            <span className="hidden text-bad sm:inline">{counts.failed} failed</span>
          )}
        </div>
        <Progress experiment={experiment} />
      </td>
      <td className="number">
        <div className="font-medium">{formatNumber(best?.value)}</div>
        <div className="text-xs text-muted">
          {objective.metric} {objective.maximize ? '↑' : '↓'}
          <span className="sr-only">{objective.maximize ? ' maximized' : ' minimized'}</span>
        </div>
      </td>
      <td className="hidden lg:table-cell">{experiment.algorithm}</td>
      <td className="hidden text-muted md:table-cell">
        <Ago time={experiment.created} />
      </td>
    </tr>
  )
}
