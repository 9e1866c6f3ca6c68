// Looks at the page of a cluster as a user whom a gateway has signed in: sees what is the user's, and of
// what is another's only that it is refused.
//
//   node team.mjs URL USER OTHER TRIAL [SCREENSHOT]
//
// USER and OTHER are names of a user, a namespace and an experiment in it each; TRIAL is one of USER's.
import { chromium } from 'playwright-core'

const [url, user, other, trial, screenshot] = process.argv.slice(2)
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking']
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: flags })
try {
  const context = await browser.newContext({
    extraHTTPHeaders: { 'kubeflow-userid': user },
    viewport: { width: 1280, height: 1000 },
  })
  const page = await context.newPage()
  const problems = []
  page.on('pageerror', error => problems.push(String(error)))
  page.setDefaultTimeout(30_000)
  const shoot = async name => {
    if (screenshot) await page.screenshot({ path: screenshot.replace('.png', `-${name}.png`), fullPage: true })
  }

  await page.goto(url)
  await page.getByRole('link', { name: user, exact: true }).first().waitFor()
  await shoot('list')
  if ((await page.content()).includes(other)) throw new Error(`the list of ${user} shows ${other}`)

  await page.getByRole('link', { name: user, exact: true }).first().click()
  await page.getByRole('link', { name: trial, exact: true }).first().click()
  await page.getByText(`said by ${trial}`).first().waitFor()
  await shoot('trial')

  const address = page.url()
  await page.goto(address.slice(0, address.indexOf(`/${user}`)) + `/${other}/${other}`)
  await page.getByText(`user "${user}" may not`).first().waitFor()
  await shoot('refused')
  if (problems.length > 0) throw new Error(problems.join('\n'))
  console.log('all seen')
} finally {
  await browser.close()
}
