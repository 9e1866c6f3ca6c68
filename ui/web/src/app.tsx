/** The frame around all pages: brand, navigation and whether changes arrive. */

import { useEffect, useState } from 'react'
import { Link, Route, Switch, useLocation } from 'wouter'
import { ConnectionContext } from './api/live'
import { ExperimentPage } from './pages/experiment'
import { ExperimentsPage } from './pages/experiments'
import { NewExperimentPage } from './pages/new_experiment'
import { TrialPage } from './pages/trial'
import { Notice } from './parts/notice'

/** How long a lost connection stays unmentioned: reloads and short breaks are no news. */
const PATIENCE_MS = 1500

export function App() {
  const [connected, setConnected] = useState(true)
  return (
    <ConnectionContext value={setConnected}>
      <a
        href="#main"
        className="button absolute left-2 top-2 z-10 -translate-y-20 focus:translate-y-0"
      >
        Skip to content
      </a>
      <Header />
      <main id="main" className="mx-auto w-full max-w-7xl px-4 pb-16 pt-6 sm:px-6">
        {!connected && <Disconnected />}
        <Pages />
      </main>
    </ConnectionContext>
  )
}

function Pages() {
  const [path] = useLocation()
  return (
    <Switch>
      <Route path="/">
        <ExperimentsPage />
      </Route>
      <Route path="/new">
        <NewExperimentPage />
      </Route>
      <Route path="/experiments/:namespace/:name">
        {({ namespace, name }) => <ExperimentPage key={path} namespace={namespace} name={name} />}
      </Route>
      <Route path="/trials/:namespace/:name">
        {({ namespace, name }) => <TrialPage key={path} namespace={namespace} name={name} />}
      </Route>
      <Route>
        <Notice title="There is no such page">
          <Link className="link" href="/">
            To the experiments
          </Link>
        </Notice>
      </Route>
    </Switch>
  )
}

function Header() {
  return (
    <header className="border-b border-line bg-card">
      <div className="mx-auto flex h-14 max-w-7xl items-center gap-3 px-4 sm:px-6">
        <Link
          href="/"
          className="flex items-center gap-2.5 text-lg font-semibold tracking-tight text-ink"
        >
          <img src={`${import.meta.env.BASE_URL}favicon.svg`} alt="" width={26} height={26} />
          Diwan
        </Link>
        <Link href="/new" className="button ml-auto">
          New experiment
        </Link>
      </div>
    </header>
  )
}

function Disconnected() {
  const [isLong, setLong] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setLong(true), PATIENCE_MS)
    return () => clearTimeout(timer)
  }, [])
  if (!isLong) return null
  return (
    <p
      role="status"
      className="mb-5 rounded-lg border border-warn/30 bg-warn-soft px-4 py-2.5 text-sm text-warn"
    >
      The server does not answer. What you see may be old; the page reconnects by itself.
    </p>
  )
}
