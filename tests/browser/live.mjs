// Watches an experiment in a real browser, from its first trial to its end, without a reload.
//
//   node live.mjs URL EXPERIMENT TRIALS [SCREENSHOT]
//
// URL is the one that `diwan up` prints. Fails when the page does not show the end by itself.
import { chromium } from 'playwright-core'

const [url, experiment, trials, screenshot] = process.argv.slice(2)
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: flags })
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1500 } })
  const problems = []
  page.on('pageerror', error => problems.push(String(error)))
  page.setDefaultTimeout(120_000)
  await page.goto(url)
  if (page.url().includes('token=')) throw new Error('the key stays in the address')

  // The experiment is applied after the page is open: it has to appear by itself.
  console.log('open')
  await page.evaluate(() => {
    window.sameDocument = true
  })
  await page.getByRole('link', { name: experiment, exact: true }).click()
  await page.getByRole('heading', { name: experiment }).waitFor()
  const rows = page.getByRole('row').filter({ hasText: `${experiment}-` })
  await rows.first().waitFor()
  console.log(`first trial, state ${await page.getByRole('heading', { name: experiment }).innerText()}`)
  await page.getByText('max trial count has reached').first().waitFor()
  await page.waitForFunction(
    ([name, count]) =>
      [...document.querySelectorAll('tr')].filter(row => row.innerText.includes(`${name}-`)).length >= count,
    [experiment, Number(trials)],
  )
  if (!(await page.evaluate(() => window.sameDocument))) throw new Error('the page was reloaded')
  if (screenshot) await page.screenshot({ path: screenshot, fullPage: true })

  await rows.first().getByRole('link').first().click()
  await page.getByText('loss=').first().waitFor()
  if (screenshot) await page.screenshot({ path: screenshot.replace('.png', '-trial.png'), fullPage: true })
  if (problems.length > 0) throw new Error(problems.join('\n'))
  console.log('all seen')
} finally {
  await browser.close()
}
