/** `npm run demo`: that its story ends well, and that nothing of it remains, however it ends. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkout, onExit } from './harness/run.ts'

interface Ended {
  readonly exitCode: number | null
  readonly output: string
}

interface Interruption {
  /** A heading of the demo: it is interrupted there. */
  readonly at: string
  readonly signal: 'SIGINT' | 'SIGTERM'
  /** `group` is what Ctrl-C does: every process of the terminal gets the signal. */
  readonly to: 'process' | 'group'
}

async function runDemo(interruption?: Interruption): Promise<Ended> {
  const program = join(checkout, 'scripts/demo.ts')
  const child = spawn(process.execPath, [program], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  const pid = child.pid
  assert(pid !== undefined)
  const forget = onExit(() => process.kill(pid, 'SIGTERM'))
  let output = ''
  let interrupted = 'not yet'
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
    if (interruption === undefined || interrupted === 'done' || !output.includes(interruption.at))
      return
    interrupted = 'done'
    process.kill(interruption.to === 'group' ? -pid : pid, interruption.signal)
  })
  const { promise, resolve } = Promise.withResolvers<number | null>()
  child.once('close', resolve)
  const exitCode = await promise
  forget()
  return { exitCode, output }
}

/** The demo's own directory, from the first line it prints. */
function directoryIn(output: string): string {
  const [, dir = ''] = /^demo in (\/tmp\/pgsurety-demo-\w+),/.exec(output) ?? []
  assert.notEqual(dir, '', output)
  return dir
}

function processesThatName(text: string): readonly string[] {
  return globSync('/proc/[0-9]*/cmdline').flatMap((path) => {
    try {
      const command = readFileSync(path, 'utf8').replaceAll('\0', ' ')
      return command.includes(text) ? [command] : []
    } catch {
      // It ended between the listing and the reading.
      return []
    }
  })
}

function assertNothingLeft(output: string): void {
  const dir = directoryIn(output)
  assert.equal(existsSync(dir), false, `${dir} is left behind`)
  assert.deepEqual(processesThatName(dir), [])
}

test('the demo gets every deleted and every acknowledged order back, and leaves nothing (S27)', async () => {
  const { exitCode, output } = await runDemo()

  assert.equal(exitCode, 0, output)
  assert.match(output, /The restored database is what it should be\./)
  assertNothingLeft(output)
})

test('Ctrl-C while the shop is loaded leaves nothing', async () => {
  const { exitCode, output } = await runDemo({ at: '2. Load', signal: 'SIGINT', to: 'group' })

  assert.equal(exitCode, 130, output)
  assert.match(output, /demo stopped: interrupted by SIGINT/)
  assertNothingLeft(output)
})

test('SIGTERM during the backup leaves nothing', async () => {
  const at = 'backup start archive'
  const { exitCode, output } = await runDemo({ at, signal: 'SIGTERM', to: 'process' })

  assert.equal(exitCode, 143, output)
  assertNothingLeft(output)
})
