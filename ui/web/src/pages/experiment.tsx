/** One experiment. */

import { useEffect, useMemo, useState } from 'react'
import { Link, useLocation } from 'wouter'
import { useLive } from '../api/live'
import { useCurve, useDelete, useExperiment, useTrialMetrics, useTrials } from '../api/queries'
import type { CurvePoint, ExperimentSummary, TrialRow } from '../api/schema'
import { CurvesChart, type Group } from '../chart/curves_chart'
import { type ChartPoint, LineChart } from '../chart/line_chart'
import { formatNumber, formatValue } from '../format'
import { Ago } from '../parts/ago'
import { BudgetDialog } from '../parts/budget_dialog'
import { Causes } from '../parts/causes'
import { Yaml } from '../parts/code'
import { Conditions } from '../parts/conditions'
import { Dialog } from '../parts/dialog'
import { Elapsed } from '../parts/elapsed'
import { Events } from '../parts/events'
import { ErrorNotice, Loading } from '../parts/notice'
import { Progress, ProgressLegend } from '../parts/progress'
import { Fact, Section } from '../parts/section'
import { StateBadge } from '../parts/state'
import { useTitle } from '../parts/title'
import { TrialsTable } from '../parts/trials_table'

interface Props {
  namespace: string
  name: string
}

export function ExperimentPage({ namespace, name }: Props) {
  useTitle(name)
  useLive(namespace, name)
  const { data, error, refetch } = useExperiment(namespace, name)
  if (error && (!data || error.code === 404)) return <ErrorNotice error={error} retry={refetch} />
  if (!data) return <Loading />
  const { summary } = data
  return (
    <>
      <Heading experiment={summary} />
      <Overview experiment={summary} />
      <BestSoFar experiment={summary} />
      <Curves experiment={summary} />
      <Trials experiment={summary} />
      <div className="grid items-start gap-x-5 md:grid-cols-2">
        <Section title="Conditions">
          <Conditions items={data.conditions} />
        </Section>
        <Section title="Events">
          <Events kind="experiments" namespace={namespace} name={name} />
        </Section>
      </div>
      <Section title="Specification">
        <Yaml value={data.spec} label="Specification" />
      </Section>
    </>
  )
}

function Heading({ experiment }: { experiment: ExperimentSummary }) {
  const [dialog, setDialog] = useState<'budget' | 'delete' | null>(null)
  const { namespace, name } = experiment
  const close = () => setDialog(null)
  return (
    <>
      <nav aria-label="Breadcrumb" className="mb-1 text-sm text-muted">
        <Link className="link" href="/">
          Experiments
        </Link>{' '}
        / {namespace}
      </nav>
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <h1 className="min-w-0 break-words text-2xl font-semibold">{name}</h1>
        <div aria-live="polite" className="mr-auto">
          <StateBadge state={experiment.state} />
        </div>
        <button type="button" className="button" onClick={() => setDialog('budget')}>
          Edit budget
        </button>
        <button
          type="button"
          className="button button-danger"
          disabled={experiment.deleting}
          onClick={() => setDialog('delete')}
        >
          {experiment.deleting ? 'Deleting…' : 'Delete'}
        </button>
      </div>
      {experiment.message && (
        <p className={`mt-1 text-sm ${experiment.state === 'Failed' ? 'text-bad' : 'text-muted'}`}>
          {experiment.message}
        </p>
      )}
      {dialog === 'budget' && <BudgetDialog experiment={experiment} onClose={close} />}
      {dialog === 'delete' && <DeleteDialog experiment={experiment} onClose={close} />}
    </>
  )
}

function DeleteDialog(props: { experiment: ExperimentSummary; onClose: () => void }) {
  const { namespace, name } = props.experiment
  const [, navigate] = useLocation()
  const { mutate, error, isPending } = useDelete(namespace, name)
  return (
    <Dialog title={`Delete ${name}?`} onClose={props.onClose}>
      <p className="text-muted">
        Its trials are stopped, and their results and logs are deleted with it. This can't be
        undone.
      </p>
      {error && (
        <div className="mt-3">
          <Causes error={error} />
        </div>
      )}
      <div className="mt-5 flex justify-end gap-2">
        <button type="button" className="button" onClick={props.onClose}>
          Cancel
        </button>
        <button
          type="button"
          className="button button-danger"
          disabled={isPending}
          onClick={() => mutate(undefined, { onSuccess: () => navigate('/') })}
        >
          Delete
        </button>
      </div>
    </Dialog>
  )
}

function Overview({ experiment }: { experiment: ExperimentSummary }) {
  const { best, objective, counts, budget } = experiment
  const ended = counts.total - counts.running - counts.pending
  return (
    <div className="mt-5 grid gap-5 lg:grid-cols-[1fr_1.6fr]">
      <section className="card border-l-4 border-l-gold-mark p-5">
        <h2 className="text-sm text-muted">
          Best {objective.metric} ({objective.maximize ? 'maximize' : 'minimize'})
        </h2>
        <p className="number mt-1 text-3xl font-semibold tracking-tight">
          {formatNumber(best?.value)}
        </p>
        {best ? (
          <>
            <p className="text-sm">
              <Link
                className="link break-words"
                href={`/trials/${experiment.namespace}/${best.trial}`}
              >
                {best.trial}
              </Link>
            </p>
            <dl className="mt-3 grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 text-sm">
              {best.parameters.map((parameter) => (
                <div key={parameter.name} className="contents">
                  <dt className="text-muted">{parameter.name}</dt>
                  <dd className="number break-words font-medium" title={parameter.value}>
                    {formatValue(parameter.value)}
                  </dd>
                </div>
              ))}
            </dl>
          </>
        ) : (
          <p className="text-sm text-muted">No trial has reported a value yet.</p>
        )}
      </section>
      <section className="card p-5">
        <div className="flex items-baseline justify-between gap-3">
          <h2 className="text-sm text-muted">Trials</h2>
          <p className="number text-sm">
            <span className="font-semibold">{ended}</span>
            <span className="text-muted"> of {budget.maxTrials ?? '∞'} ended</span>
          </p>
        </div>
        <div className="mb-2 mt-2">
          <Progress experiment={experiment} />
        </div>
        <ProgressLegend experiment={experiment} />
        <dl className="mt-5 grid grid-cols-2 gap-4 sm:grid-cols-3">
          <Fact name="Algorithm">{experiment.algorithm || '–'}</Fact>
          <Fact name="Goal">{formatNumber(objective.goal)}</Fact>
          <Fact name="At a time">{budget.parallelTrials ?? '–'}</Fact>
          <Fact name="Early stopping">{experiment.earlyStopping || 'none'}</Fact>
          <Fact name="Created">
            <Ago time={experiment.created} />
          </Fact>
          <Fact name={experiment.completed ? 'Took' : 'Running for'}>
            <Elapsed from={experiment.created} to={experiment.completed} />
          </Fact>
        </dl>
      </section>
    </div>
  )
}

function BestSoFar({ experiment }: { experiment: ExperimentSummary }) {
  const { objective } = experiment
  const { data } = useCurve(experiment.namespace, experiment.name)
  const best = experiment.best?.trial
  const points = useMemo(() => toChart(data?.points ?? [], best), [data, best])
  return (
    <Section title="Best so far">
      {points.length === 0 ? (
        <p className="py-10 text-center text-sm text-muted">
          The curve starts with the first trial that reports {objective.metric || 'its objective'}.
        </p>
      ) : (
        <LineChart
          steps
          title={`Best ${objective.metric} so far`}
          xLabel="ended trials"
          yLabel={objective.metric}
          points={points}
          goal={objective.goal}
        />
      )}
    </Section>
  )
}

function toChart(points: CurvePoint[], best: string | undefined): ChartPoint[] {
  return points.map((point, index) => ({
    x: index + 1,
    value: point.value,
    line: point.best,
    label: `${point.trial}: ${formatNumber(point.value)}, best ${formatNumber(point.best)}`,
    marked: point.trial === best,
  }))
}

/** How many points all curves have together at most. */
const POINTS = 40_000

/** What each trial reported of the objective, where trials report it more than once. */
function Curves({ experiment }: { experiment: ExperimentSummary }) {
  const { namespace, name, objective, counts } = experiment
  const [, navigate] = useLocation()
  const points = Math.round(Math.min(200, Math.max(8, POINTS / Math.max(1, counts.total))))
  const ended = experiment.completed != null
  const { data, refetch } = useTrialMetrics(namespace, name, points, !ended)
  useEffect(() => {
    // What was reported since the last load.
    if (ended) void refetch()
  }, [ended, refetch])
  const trials = useTrials(namespace, name).data?.items
  const best = experiment.best?.trial
  const curves = useMemo(() => {
    const states = new Map(trials?.map((trial) => [trial.name, trial.state]))
    const items = data?.items ?? []
    return items.map((item) => ({
      name: item.trial,
      steps: item.steps,
      values: item.values,
      group: group(item.trial === best, states.get(item.trial)),
    }))
  }, [data, trials, best])
  if (!curves.some((curve) => curve.values.length > 1)) return null
  return (
    <Section title={`${objective.metric} of each trial`}>
      <CurvesChart
        title={`${objective.metric} of each trial`}
        xLabel="reports"
        yLabel={objective.metric}
        curves={curves}
        onChoose={(trial) => navigate(`/trials/${namespace}/${trial}`)}
      />
    </Section>
  )
}

function group(isBest: boolean, state: TrialRow['state'] | undefined): Group {
  if (isBest) return 'best'
  if (state === 'Running') return 'running'
  return state === 'EarlyStopped' ? 'stopped' : 'other'
}

function Trials({ experiment }: { experiment: ExperimentSummary }) {
  const { data, error, refetch } = useTrials(experiment.namespace, experiment.name)
  return (
    <Section title="Trials">
      {error && !data ? (
        <ErrorNotice error={error} retry={refetch} />
      ) : !data ? (
        <Loading />
      ) : data.items.length === 0 ? (
        <p className="py-10 text-center text-sm text-muted">No trials yet.</p>
      ) : (
        <TrialsTable experiment={experiment} trials={data.items} />
      )}
    </Section>
  )
}
