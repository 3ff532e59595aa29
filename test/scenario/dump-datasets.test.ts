/** Data that others publish, from 15 into 15 and 18, each proved. They are fetched: only in the full run. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { after, before, test, type TestContext } from 'node:test'
import { formatDuration, formatSize } from '../../src/base/units.ts'
import { dumpRestore } from '../../src/command/dump-restore/dump-restore.ts'
import { storedBytes } from '../../src/command/info/dumps-report.ts'
import { type Cluster, startCluster } from '../harness/cluster.ts'
import { DATA_SETS, type DataSet } from '../harness/data-sets.ts'
import { postgresBin } from '../harness/peers.ts'
import { spawnAs } from '../harness/run.ts'
import { type DumpedCluster, startDumpedCluster } from './dumped-cluster.ts'

const skip = process.env['PGSURETY_TEST_FULL'] !== '1' && 'data are fetched in the full run only'

let source: DumpedCluster
let newest: Cluster

before(async () => {
  if (skip !== false) return
  source = await startDumpedCluster({ lines: [`pg-client-path=${await postgresBin('18')}`] })
  newest = await startCluster({ version: '18' })
})

after(async () => {
  if (skip !== false) return
  await newest[Symbol.asyncDispose]()
  await source[Symbol.asyncDispose]()
})

async function* script(
  { before: first, copy, after: last }: DataSet,
  rows: AsyncIterable<string> | Iterable<string>,
): AsyncGenerator<string> {
  yield `${first};\n${copy};\n`
  yield* rows
  yield `\\.\n${last}\n`
}

async function load(set: DataSet, rows: AsyncIterable<string> | Iterable<string>): Promise<void> {
  const { cluster, bin } = source
  await cluster.psql(`create database ${set.name}`)
  const psql = spawnAs([join(bin, 'psql'), '-qX', '-v', 'ON_ERROR_STOP=1', '-f', '-', set.name], {
    env: { PGHOST: cluster.socketDir, PGPORT: String(cluster.port), PGUSER: cluster.user },
  })
  psql.stderr.pipe(process.stderr)
  const ended = once(psql, 'close')
  await pipeline(Readable.from(script(set, rows)), psql.stdin)
  assert.deepEqual(await ended, [0, null])
}

/** How long it took. */
async function restored(to: Cluster, label: string, name: string): Promise<number> {
  const server = `host=${to.socketDir} port=${to.port} user=postgres`
  const asked = [`--to-conninfo=${server}`, `--set=${label}`, `--to-database=${name}`, '--jobs=2']
  const ran = source.context([...asked, 'dump-restore'])
  const startedMs = performance.now()
  await dumpRestore(ran.context).catch((error: unknown) =>
    assert.fail(`${String(error)}\n${ran.output()}`),
  )
  assert.match(ran.output(), /proved exact/)
  await to.psql(`drop database "${name}"`)
  return performance.now() - startedMs
}

/** Undefined, and the test skipped, where there is no way to them. */
async function rowsOf(
  context: TestContext,
  set: DataSet,
): Promise<AsyncIterable<string> | Iterable<string> | undefined> {
  try {
    return await set.rows(join(source.folder, set.name))
  } catch (error) {
    context.skip(`NOT TRIED, '${set.name}' could not be fetched: ${String(error)}`)
    return undefined
  }
}

for (const set of DATA_SETS) {
  test(`published data come from 15 to 15 and 18 and are proved: ${set.name}`, {
    skip,
  }, async (context) => {
    const rows = await rowsOf(context, set)
    if (rows === undefined) return
    await load(set, rows)
    const startedMs = performance.now()
    const { label, databases } = await source.dump(`--db-include=${set.name}`, '--jobs=2')
    const dumpMs = performance.now() - startedMs
    const sameMs = await restored(source.cluster, label, `${set.name} again`)
    const newerMs = await restored(newest, label, set.name)
    const [database] = databases
    assert(database !== undefined)
    const sizes = [database.sizeBytes, storedBytes(database)].map((bytes) => formatSize(bytes))
    const times = [dumpMs, sameMs, newerMs].map((ms) => formatDuration(ms))
    context.diagnostic(
      `${set.name}: ${sizes.join(', stored ')}; dump ${times[0]}, restore and proof ${times[1]} into 15, ${times[2]} into 18`,
    )
    await source.cluster.psql(`drop database ${set.name}`)
  })
}
