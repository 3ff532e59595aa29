/**
 * npm run demo: a PostgreSQL of some hundred megabytes loses half its orders, and gets them back.
 *
 * Nothing on this machine is touched: server, data and repository live in one directory below /tmp, which is gone
 * afterwards, also after Ctrl-C. Exit code 0 only when the restored database is what it should be.
 */
import { parseArgs } from 'node:util'
import { systemClock } from '../src/base/clock.ts'
import { formatDuration } from '../src/base/units.ts'
import { openPlace } from './demo/place.ts'
import { openShell, print } from './demo/shell.ts'
import { type Stage, tell } from './demo/story.ts'

const USAGE = `usage: npm run demo [-- --keep]

  --keep   leave the files in place and say where they are
  --help   print this

Takes about a minute and 1.5 GB below /tmp. Needs no PostgreSQL, no root, no network once installed.`

const NEXT = `Where to go next
  your own cluster   README.md, "Your own cluster"
  the first backup   docs/guide/first-backup.md
  at three at night  docs/guide/restore.md
  with pgBackRest    docs/guide/pgbackrest.md
  once more          npm run demo              (npm run demo -- --keep leaves the files for a look)`

interface Line {
  readonly title: string
  readonly ms: number
  readonly note: string
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { keep: { type: 'boolean' }, help: { type: 'boolean' } },
  })
  if (values.help === true) {
    print(USAGE)
    return 0
  }
  const interrupt = new AbortController()
  let exitCode = 1
  for (const [name, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.on(name, () => {
      exitCode = code
      interrupt.abort(new Error(`interrupted by ${name}`))
    })
  }
  try {
    const wrong = await perform(values.keep === true ? 'keep' : 'remove', interrupt.signal)
    return wrong === 0 ? 0 : 1
  } catch (error) {
    const reason: unknown = interrupt.signal.aborted ? interrupt.signal.reason : error
    print(`\ndemo stopped: ${reason instanceof Error ? reason.message : String(reason)}`)
    return exitCode
  }
}

/** Number of findings that are wrong. */
async function perform(files: 'remove' | 'keep', signal: AbortSignal): Promise<number> {
  const startMs = systemClock.nowMs()
  await using place = await openPlace(files)
  print(
    `demo in ${place.dir}, as user ${place.userName}${files === 'keep' ? ', kept afterwards' : ', removed afterwards'}`,
  )
  const lines: Line[] = []
  const step: Stage['step'] = async (title, act) => {
    print(`\n${lines.length + 1}. ${title}`)
    const stepMs = systemClock.nowMs()
    const { note, value } = await act()
    const ms = systemClock.nowMs() - stepMs
    print(`  ${formatDuration(ms)}: ${note}`)
    lines.push({ title, ms, note })
    return value
  }
  const shell = openShell(place.dir, signal)
  const findings = await tell({ place, shell, signal, step })
  const wrong = findings.filter(({ verdict }) => verdict === 'WRONG').length
  summarise(lines, systemClock.nowMs() - startMs)
  print(
    wrong === 0
      ? '\nThe restored database is what it should be.'
      : '\nThe restored database is WRONG: see above.',
  )
  print(files === 'keep' ? `\nKept in ${place.dir}; remove it when you have seen enough.\n` : '')
  print(NEXT)
  return wrong
}

function summarise(lines: readonly Line[], totalMs: number): void {
  const width = Math.max(...lines.map(({ title }) => title.length))
  print('\nSummary')
  for (const { title, ms, note } of lines) {
    print(`  ${title.padEnd(width)}  ${formatDuration(ms).padStart(6)}  ${note}`)
  }
  print(`  ${'all'.padEnd(width)}  ${formatDuration(totalMs).padStart(6)}`)
}

process.exitCode = await main()
