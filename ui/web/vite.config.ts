import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  base: '/ui/',
  plugins: [react(), tailwindcss()],
  build: { target: 'es2023', assetsInlineLimit: 0 },
  server: { proxy: { '/ui/api': process.env.DIWAN_URL ?? 'http://127.0.0.1:8080' } },
  test: { environment: 'node', include: ['src/**/*.test.ts'] },
})
