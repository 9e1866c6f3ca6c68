/** One trial. */

import { Link } from 'wouter'
import { API, objectPath } from '../api/client'
import { useLive } from '../api/live'
import { useExperiment, useMetrics, useTrial } from '../api/queries'
import type { MetricSeries, TrialDetail } from '../api/schema'
import { LineChart } from '../chart/line_chart'
import { formatNumber, formatValue, parseTime, plural } from '../format'
import { Yaml } from '../parts/code'
import { Conditions } from '../parts/conditions'
import { Elapsed } from '../parts/elapsed'
import { Events } from '../parts/events'
import { LogView } from '../parts/log_view'
import { ErrorNotice, Loading } from '../parts/notice'
import { Fact, Section } from '../parts/section'
import { StateBadge } from '../parts/state'
import { useTitle } from '../parts/title'

interface Props {
  namespace: string
  name: string
}

export function TrialPage({ namespace, name }: Props) {
  useTitle(name)
  const { data, error, refetch } = useTrial(namespace, name)
  useLive(namespace, data?.experiment)
  if (error && !data) return <ErrorNotice error={error} retry={refetch} />
  if (!data) return <Loading />
  const log = `${API}${objectPath('trials', namespace, name)}/log`
  return (
    <>
      <Heading trial={data} />
      <Facts trial={data} />
      <Metrics trial={data} />
      <Section
        title="Log"
        aside={
          <a className="link text-sm" href={log} download={`${name}.log`}>
            Download
          </a>
        }
      >
        <LogView namespace={namespace} trial={name} />
      </Section>
      <div className="grid items-start gap-x-5 md:grid-cols-2">
        <Section title="Conditions">
          <Conditions items={data.conditions} />
        </Section>
        <Section title="Events">
          <Events kind="trials" namespace={namespace} name={name} />
        </Section>
      </div>
      {data.runSpec && (
        <Section title="What it runs">
          <Yaml value={data.runSpec} label="The object that the trial runs" />
        </Section>
      )}
    </>
  )
}

function Heading({ trial }: { trial: TrialDetail }) {
  const { row, namespace, experiment } = trial
  const { data } = useExperiment(namespace, experiment)
  const isBest = data?.summary.best?.trial === row.name
  return (
    <>
      <nav aria-label="Breadcrumb" className="mb-1 text-sm text-muted">
        <Link className="link" href="/">
          Experiments
        </Link>{' '}
        / {namespace} /{' '}
        <Link className="link" href={`/experiments/${namespace}/${experiment}`}>
          {experiment}
        </Link>
      </nav>
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <h1 className="min-w-0 break-words text-2xl font-semibold">{row.name}</h1>
        <div aria-live="polite">
          <StateBadge state={row.state} />
        </div>
        {isBest && <span className="text-sm font-semibold text-gold">★ best so far</span>}
      </div>
      {row.message && (
        <p
          className={`mt-1 whitespace-pre-wrap break-words text-sm ${row.state === 'Failed' ? 'text-bad' : 'text-muted'}`}
        >
          {row.message}
        </p>
      )}
    </>
  )
}

function Facts({ trial }: { trial: TrialDetail }) {
  const { row } = trial
  return (
    <div className="mt-5 grid gap-5 md:grid-cols-2">
      <section className="card p-5">
        <h2 className="mb-3 text-sm text-muted">Parameters</h2>
        <dl className="grid grid-cols-2 gap-4 sm:grid-cols-3">
          {row.parameters.map((parameter) => (
            <Fact key={parameter.name} name={parameter.name}>
              <span title={parameter.value}>{formatValue(parameter.value)}</span>
            </Fact>
          ))}
        </dl>
      </section>
      <section className="card p-5">
        <h2 className="mb-3 text-sm text-muted">Result</h2>
        <dl className="grid grid-cols-2 gap-4 sm:grid-cols-3">
          {row.metrics.length === 0 && <Fact name={trial.objectiveMetric}>–</Fact>}
          {row.metrics.map((metric) => (
            <Fact key={metric.name} name={metric.name}>
              <span title={metric.text}>
                {metric.value == null ? metric.text : formatNumber(metric.value)}
              </span>
            </Fact>
          ))}
          <Fact name={row.completed ? 'Took' : 'Running for'}>
            <Elapsed from={row.started} to={row.completed} />
          </Fact>
        </dl>
      </section>
    </div>
  )
}

function Metrics({ trial }: { trial: TrialDetail }) {
  const { row, namespace, objectiveMetric } = trial
  const { data, error } = useMetrics(namespace, row.name, !row.completed)
  const series = data?.items.toSorted(
    (a, b) => Number(b.name === objectiveMetric) - Number(a.name === objectiveMetric),
  )
  return (
    <Section title="Metrics">
      {error && !data ? (
        <p className="py-6 text-sm text-muted">{error.message}</p>
      ) : !series?.length ? (
        <p className="py-10 text-center text-sm text-muted">
          {row.completed ? 'The trial reported no metrics.' : 'Nothing has been reported yet.'}
        </p>
      ) : (
        <div className={`grid gap-6 ${series.length > 1 ? 'md:grid-cols-2' : ''}`}>
          {series.map((item) => (
            <Curve key={item.name} series={item} />
          ))}
        </div>
      )}
    </Section>
  )
}

function Curve({ series }: { series: MetricSeries }) {
  const { name, points, reported } = series
  const first = parseTime(points[0]?.time)
  const chart = points.map((point) => {
    const time = parseTime(point.time)
    const after = time == null || first == null ? '' : `, after ${(time - first) / 1000} s`
    return {
      x: point.step + 1,
      value: point.value,
      line: point.value,
      label: `${name} ${formatNumber(point.value)}, report ${point.step + 1}${after}`,
    }
  })
  return (
    <div className="min-w-0">
      <h3 className="mb-1 flex items-baseline gap-2 text-sm font-medium">
        {name}
        <span className="number text-xs font-normal text-muted">{plural(reported, 'report')}</span>
      </h3>
      {points.length === 0 ? (
        <p className="text-sm text-muted">None of them is a number.</p>
      ) : (
        <LineChart title={name} xLabel="report" yLabel={name} points={chart} height={220} />
      )}
    </div>
  )
}
