/** Changes pushed by the server, merged into what was loaded. */

import { type QueryClient, useQueryClient } from '@tanstack/react-query'
import { createContext, useContext, useEffect } from 'react'
import { API } from './client'
import {
  changedTrials,
  isDeleted,
  mergeCurve,
  mergeExperiment,
  mergeExperiments,
  mergeTrials,
} from './merge'
import { keys } from './queries'
import type { Curve, ExperimentDetail, ExperimentList, LiveBatch, TrialList } from './schema'
import { keepStream } from './stream'

/** Tells the frame of the page whether changes arrive. */
export const ConnectionContext = createContext<(connected: boolean) => void>(() => {})

/** Keeps loaded data fresh: of one experiment, or of the list of a namespace or of all. */
export function useLive(namespace: string, experiment = ''): void {
  const client = useQueryClient()
  const setConnected = useContext(ConnectionContext)
  useEffect(() => {
    const query = new URLSearchParams({ namespace, experiment })
    return keepStream(`${API}/events?${query}`, {
      on: {
        reload: () => {
          setConnected(true)
          void client.invalidateQueries()
        },
        changes: (data) => apply(client, JSON.parse(data) as LiveBatch),
      },
      lost: (refused) => {
        setConnected(false)
        // Loading shows why the server refused.
        if (refused) void client.invalidateQueries()
      },
    })
  }, [client, setConnected, namespace, experiment])
}

function apply(client: QueryClient, batch: LiveBatch): void {
  const { namespace, experiment } = batch
  for (const scope of ['', namespace]) {
    client.setQueryData<ExperimentList>(
      keys.experiments(scope),
      (list) => list && mergeExperiments(list, batch),
    )
  }
  if (isDeleted(batch)) {
    void client.invalidateQueries({ queryKey: keys.experiment(namespace, experiment) })
  }
  const detail = client.setQueryData<ExperimentDetail>(
    keys.experiment(namespace, experiment),
    (detail) => detail && mergeExperiment(detail, batch),
  )
  client.setQueryData<TrialList>(
    keys.trials(namespace, experiment),
    (list) => list && mergeTrials(list, batch),
  )
  if (detail) {
    client.setQueryData<Curve>(
      keys.curve(namespace, experiment),
      (curve) => curve && mergeCurve(curve, batch, detail.summary.objective.maximize),
    )
  }
  for (const row of changedTrials(batch)) {
    void client.invalidateQueries({ queryKey: keys.trial(namespace, row.name) })
    void client.invalidateQueries({ queryKey: keys.metrics(namespace, row.name) })
  }
}
