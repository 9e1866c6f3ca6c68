/** What pages load, by the key under which it is kept and updated. */

import { QueryClient, useMutation, useQuery } from '@tanstack/react-query'
import { ApiError, call, objectPath } from './client'
import type {
  BudgetEdit,
  Created,
  Curve,
  EventList,
  ExperimentDetail,
  ExperimentList,
  ExperimentSummary,
  MetricList,
  NamespaceList,
  TrialDetail,
  TrialList,
  TrialMetricList,
} from './schema'

export const keys = {
  namespaces: ['namespaces'] as const,
  experiments: (namespace: string) => ['experiments', namespace] as const,
  experiment: (namespace: string, name: string) => ['experiment', namespace, name] as const,
  trials: (namespace: string, name: string) => ['trials', namespace, name] as const,
  trialMetrics: (namespace: string, name: string) => ['trialMetrics', namespace, name] as const,
  curve: (namespace: string, name: string) => ['curve', namespace, name] as const,
  events: (kind: string, namespace: string, name: string) =>
    ['events', kind, namespace, name] as const,
  trial: (namespace: string, name: string) => ['trial', namespace, name] as const,
  metrics: (namespace: string, name: string) => ['metrics', namespace, name] as const,
}

/** Makes the store of loaded data: live events keep it fresh, so nothing is loaded on a timer. */
export function makeQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: Number.POSITIVE_INFINITY,
        refetchOnWindowFocus: false,
        retry: (count, error) => count < 2 && (!(error instanceof ApiError) || error.code >= 500),
      },
    },
  })
}

function useLoad<T>(key: readonly string[], path: string, interval: number | false = false) {
  return useQuery<T, ApiError>({
    queryKey: key,
    queryFn: () => call<T>(path),
    refetchInterval: interval,
  })
}

export const useNamespaces = () => useLoad<NamespaceList>(keys.namespaces, '/namespaces')

export const useExperiments = (namespace: string) =>
  useLoad<ExperimentList>(
    keys.experiments(namespace),
    `/experiments?namespace=${encodeURIComponent(namespace)}`,
  )

export const useExperiment = (namespace: string, name: string) =>
  useLoad<ExperimentDetail>(
    keys.experiment(namespace, name),
    objectPath('experiments', namespace, name),
  )

export const useTrials = (namespace: string, name: string) =>
  useLoad<TrialList>(
    keys.trials(namespace, name),
    `${objectPath('experiments', namespace, name)}/trials`,
  )

export const useCurve = (namespace: string, name: string) =>
  useLoad<Curve>(keys.curve(namespace, name), `${objectPath('experiments', namespace, name)}/curve`)

/** Loads the curves of all trials, again and again while some report. */
export const useTrialMetrics = (
  namespace: string,
  name: string,
  points: number,
  running: boolean,
) =>
  useLoad<TrialMetricList>(
    keys.trialMetrics(namespace, name),
    `${objectPath('experiments', namespace, name)}/metrics?points=${points}`,
    running && 3000,
  )

export const useTrial = (namespace: string, name: string) =>
  useLoad<TrialDetail>(keys.trial(namespace, name), objectPath('trials', namespace, name))

/** Loads metric curves, again and again while the trial reports. */
export const useMetrics = (namespace: string, name: string, running: boolean) =>
  useLoad<MetricList>(
    keys.metrics(namespace, name),
    `${objectPath('trials', namespace, name)}/metrics`,
    running && 2000,
  )

export const useEvents = (kind: 'experiments' | 'trials', namespace: string, name: string) =>
  useLoad<EventList>(
    keys.events(kind, namespace, name),
    `${objectPath(kind, namespace, name)}/events`,
    10_000,
  )

export const useCreate = () =>
  useMutation<Created, ApiError, { text: string; namespace: string; dryRun: boolean }>({
    mutationFn: ({ text, namespace, dryRun }) =>
      call(`/experiments?namespace=${encodeURIComponent(namespace)}&dryRun=${dryRun}`, {
        method: 'POST',
        headers: { 'content-type': 'application/yaml' },
        body: text,
      }),
  })

export const useDelete = (namespace: string, name: string) =>
  useMutation<void, ApiError>({
    mutationFn: () => call(objectPath('experiments', namespace, name), { method: 'DELETE' }),
  })

export const useEditBudget = (namespace: string, name: string) =>
  useMutation<ExperimentSummary, ApiError, BudgetEdit>({
    mutationFn: (edit) =>
      call(`${objectPath('experiments', namespace, name)}/budget`, {
        method: 'PATCH',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(edit),
      }),
  })
