import { QueryClientProvider } from '@tanstack/react-query'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { Router } from 'wouter'
import { makeQueryClient } from './api/queries'
import { App } from './app'
import './style.css'

const root = document.getElementById('root')
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={makeQueryClient()}>
        <Router base="/ui">
          <App />
        </Router>
      </QueryClientProvider>
    </StrictMode>,
  )
}
