/** The story: a shop, its backup, an accident, and the way back. Each step shows the commands a person would type. */
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { systemClock } from '../../src/base/clock.ts'
import { formatSize, MINUTE_MS, SECOND_MS } from '../../src/base/units.ts'
import { compare, type Finding, type TableState } from './compare.ts'
import { ACCIDENT, FINGERPRINT, LOAD } from './data.ts'
import type { Place } from './place.ts'
import { openServer, PORT, type Row, type Server } from './server.ts'
import type { Shell } from './shell.ts'
import { readLedger, startWorkload, type Workload } from './workload.ts'

export interface Stage {
  readonly place: Place
  readonly shell: Shell
  readonly signal: AbortSignal
  /** Shows a heading, acts, and notes what came of it and how long it took. */
  readonly step: <T>(title: string, act: () => Promise<Outcome<T>>) => Promise<T>
}

interface Outcome<T> {
  /** For the summary. */
  readonly note: string
  readonly value: T
}

interface Accident {
  /** The second before it, as `2026-05-02 14:29:59+00`. */
  readonly target: string
  readonly deleted: number
  readonly before: readonly TableState[]
}

/** Tells the whole story; the findings are what the restored database was found to be. */
export async function tell(stage: Stage): Promise<readonly Finding[]> {
  const { place, shell, signal, step } = stage
  const ledgerPath = `${place.dir}/ledger`
  using server = openServer(place, shell, signal)
  await step('Start a throw-away PostgreSQL', async () => await startServer(server))
  await step('Load a shop', async () => await loadShop(stage, server))
  await using workload = await step(
    'Open the shop: orders keep coming in from now on',
    async () => ({
      value: await startWorkload(server, ledgerPath, signal),
      note: 'every acknowledged order is also noted in a ledger outside the database',
    }),
  )
  await step('Configure pgsurety', async () => await configure(stage, server))
  await step(
    'Create the stanza and turn on archiving',
    async () => await startArchiving(stage, server),
  )
  await step('Prove that archiving works', async () => await check(stage))
  await step('Take a full backup while orders come in', async () => await backup(stage))
  await step('Business goes on', async () => await wait(stage, 4 * SECOND_MS))
  const accident = await step(
    'The accident: a DELETE without its date',
    async () => await deleteOrders(stage, server),
  )
  await step('Nobody notices yet', async () => await wait(stage, 3 * SECOND_MS))
  await step(
    'Close the shop and see what there is',
    async () => await lookAround(stage, server, workload),
  )
  await step('Ask what a restore would do', async () => await plan(stage, accident))
  await step(
    'Restore to the second before the accident',
    async () => await restore(stage, accident),
  )
  await step('Start and wait until recovery is over', async () => await recover(stage, server))
  return await step(
    'Compare with the ledger',
    async () => await judge(stage, server, { accident, ledgerPath }),
  )
}

async function startServer(server: Server): Promise<Outcome<undefined>> {
  await server.create()
  await server.start()
  const [row] = await server.query('SELECT version()')
  return { value: undefined, note: text(row, 'version').split(' on ')[0] ?? '' }
}

async function loadShop({ shell }: Stage, server: Server): Promise<Outcome<undefined>> {
  for (const statement of LOAD) {
    shell.say(`SQL> ${statement.replaceAll(/\s+/g, ' ')}`)
    await server.query(statement)
  }
  const tables = await server.query(
    `SELECT relname AS name, pg_total_relation_size(oid)::text AS bytes, (SELECT sum(pg_database_size(oid)) FROM pg_database)::text AS total
       FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname`,
  )
  const sizes = tables.map(
    (row) => `${text(row, 'name')} ${formatSize(Number(text(row, 'bytes')))}`,
  )
  shell.say(sizes.join(', '))
  return { value: undefined, note: `${formatSize(Number(text(tables[0], 'total')))} of data` }
}

async function configure({ place, shell }: Stage, server: Server): Promise<Outcome<undefined>> {
  const { dir } = place
  const passPath = `${dir}/cipher-pass`
  await writeFile(passPath, `${randomBytes(48).toString('base64')}\n`, { mode: 0o600 })
  for (const name of ['repo', 'log', 'lock']) await mkdir(`${dir}/${name}`, { mode: 0o750 })
  const config = `[global]
repo1-path=${dir}/repo
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass-file=${passPath}
repo1-retention-full=2
compress-type=zst
process-max=2
start-fast=y
log-level-console=info
log-path=${dir}/log
lock-path=${dir}/lock

[main]
pg1-path=${server.dataDir}
pg1-socket-path=${dir}
pg1-port=${PORT}
pg1-user=postgres
`
  await writeFile(`${dir}/pgsurety.conf`, config, { mode: 0o640 })
  await shell.run(['cat', `${dir}/pgsurety.conf`])
  return { value: undefined, note: 'encrypted repository, zst, two processes' }
}

async function pgsurety(
  { place, shell }: Stage,
  ...parameters: readonly string[]
): Promise<string> {
  const argv = [place.pgsurety, `--config=${place.dir}/pgsurety.conf`, '--stanza=main']
  return await shell.run([...argv, ...parameters])
}

async function startArchiving(stage: Stage, server: Server): Promise<Outcome<undefined>> {
  const { place, shell } = stage
  await pgsurety(stage, 'stanza-create')
  const command = `${place.pgsurety} --config=${place.dir}/pgsurety.conf --stanza=main archive-push %p`
  for (const statement of [
    `ALTER SYSTEM SET archive_command = '${command}'`,
    'SELECT pg_reload_conf()',
  ]) {
    shell.say(`SQL> ${statement}`)
    await server.query(statement)
  }
  return { value: undefined, note: 'from now on every WAL segment goes into the repository' }
}

async function check(stage: Stage): Promise<Outcome<undefined>> {
  await pgsurety(stage, 'check')
  return { value: undefined, note: 'a WAL segment made the whole way' }
}

async function backup(stage: Stage): Promise<Outcome<undefined>> {
  const output = await pgsurety(stage, 'backup', '--type=full')
  const size = /full backup size = (\S+), file total = (\d+)/.exec(output)
  const stored = formatSize(await sizeOf(`${stage.place.dir}/repo`))
  return {
    value: undefined,
    note: `${size?.[1] ?? '?'} in ${size?.[2] ?? '?'} files; the repository has ${stored}`,
  }
}

async function wait({ shell, signal }: Stage, ms: number): Promise<Outcome<undefined>> {
  shell.say(`(${ms / SECOND_MS} seconds)`)
  await systemClock.sleep(ms, signal)
  return { value: undefined, note: 'orders come in' }
}

async function deleteOrders({ shell }: Stage, server: Server): Promise<Outcome<Accident>> {
  const before = (await server.query(FINGERPRINT)).map(tableState)
  const [row] = await server.query(
    `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || '+00' AS target`,
  )
  const target = text(row, 'target')
  shell.say(`SQL> ${ACCIDENT}`)
  const [gone] = await server.query(
    `WITH gone AS (${ACCIDENT} RETURNING 1) SELECT count(*)::text AS rows FROM gone`,
  )
  const deleted = Number(text(gone, 'rows'))
  shell.say(`DELETE ${deleted}`)
  return {
    value: { target, deleted, before },
    note: `${deleted} orders gone, and their items; restore target ${target}`,
  }
}

async function lookAround(
  stage: Stage,
  server: Server,
  workload: Workload,
): Promise<Outcome<undefined>> {
  await workload.stop()
  await server.stop()
  await pgsurety(stage, 'info')
  return { value: undefined, note: 'one backup, and the WAL since' }
}

function restoreOptions({ target }: Accident): readonly string[] {
  return ['restore', '--delta', `--target=${target}`, '--target-action=promote']
}

async function plan(stage: Stage, accident: Accident): Promise<Outcome<undefined>> {
  await pgsurety(stage, ...restoreOptions(accident), '--plan')
  return { value: undefined, note: 'nothing was touched' }
}

async function restore(stage: Stage, accident: Accident): Promise<Outcome<undefined>> {
  const output = await pgsurety(stage, ...restoreOptions(accident))
  const size = /restore size = (.+)/.exec(output)
  return { value: undefined, note: size?.[1] ?? '' }
}

/** The log line says whether recovery stopped where it was asked to, which a started server alone does not. */
async function recover({ shell, signal }: Stage, server: Server): Promise<Outcome<undefined>> {
  await server.start()
  const deadlineMs = systemClock.nowMs() + 2 * MINUTE_MS
  while (
    text((await server.query('SELECT pg_is_in_recovery()::text AS still'))[0], 'still') === 'true'
  ) {
    if (systemClock.nowMs() > deadlineMs) throw new Error('recovery did not end within two minutes')
    await systemClock.sleep(100, signal)
  }
  const log = (await readFile(server.logPath, 'utf8')).split('\n')
  const stopped = log.filter((line) =>
    /recovery stopping|last completed transaction|new timeline/.test(line),
  )
  shell.say(...stopped.map((line) => line.replace(/^(\S+ \S+) \S+ LOG: +/, '$1  ')))
  if (!stopped.some((line) => line.includes('recovery stopping before commit'))) {
    throw new Error('recovery did not stop at the target')
  }
  return { value: undefined, note: 'stopped at the target, promoted' }
}

async function judge(
  { shell }: Stage,
  server: Server,
  { accident, ledgerPath }: { readonly accident: Accident; readonly ledgerPath: string },
): Promise<Outcome<readonly Finding[]>> {
  const live = await server.query(`SELECT id::text FROM orders WHERE channel = 'live'`)
  const findings = compare({
    targetMs: Date.parse(accident.target.replace(' ', 'T').replace('+00', 'Z')),
    before: accident.before,
    after: (await server.query(FINGERPRINT)).map(tableState),
    ledger: await readLedger(ledgerPath),
    restoredIds: new Set(live.map((row) => Number(text(row, 'id')))),
  })
  for (const { text: line, verdict } of findings) shell.say(`${verdict.padEnd(6)} ${line}`)
  const wrong = findings.filter(({ verdict }) => verdict === 'WRONG').length
  return {
    value: findings,
    note:
      wrong === 0
        ? `${accident.deleted} deleted orders are back, nothing is missing`
        : `${wrong} finding(s) are WRONG`,
  }
}

function tableState(row: Row): TableState {
  return { name: text(row, 'name'), rows: Number(text(row, 'rows')), content: text(row, 'content') }
}

function text(row: Row | undefined, column: string): string {
  const value = row?.[column]
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

async function sizeOf(dir: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += (await stat(`${entry.parentPath}/${entry.name}`)).size
  }
  return bytes
}
