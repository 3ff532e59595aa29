/** dump: one dump set, which exists once its manifest is written and not before. */
import { AppError, asAppError, isErrorKind } from '../../base/error.ts'
import { toOneLine } from '../../base/text.ts'
import { formatDuration, formatSize } from '../../base/units.ts'
import type { Config } from '../../config/config.ts'
import { coverAll, coverUpTo } from '../../fingerprint/tables.ts'
import { WRITER_VERSION } from '../../format/format.ts'
import type { DumpedDatabase, DumpManifest } from '../../format/dump-manifest.ts'
import { planDumpLabel } from '../../format/label.ts'
import { dumpPrefix } from '../../format/repo-path.ts'
import { COMPRESS_TYPES, type CompressType } from '../../pipe/compress-type.ts'
import { programPath } from '../../postgres/client-programs.ts'
import { outputOf } from '../../postgres/program.ts'
import type { PsqlSession } from '../../postgres/psql.ts'
import { databaseConninfo } from '../../postgres/server-address.ts'
import {
  beginDumpSet,
  clearMark,
  createDumps,
  type DumpPlace,
  keyIdOf,
  listDumpSets,
  removeDumpSet,
  saveDumpManifest,
  saveDumpNotes,
} from '../../repo/dump-sets.ts'
import type { StanzaLock } from '../../repo/lock.ts'
import { assertNotStopped } from '../../repo/stop-file.ts'
import { addressOf, type ClientServer, connectClients, firstDatabase } from '../client-server.ts'
import { type Context, stanzaOf } from '../command.ts'
import { expireDumps } from '../expire/expire-dumps.ts'
import { storedBytes } from '../info/dumps-report.ts'
import { firstRepo } from '../first-repo.ts'
import { lockStanza } from '../stanza-lock.ts'
import {
  findDatabase,
  isUntouched,
  listDatabases,
  mayReadPasswords,
  type ServerFacts,
  serverFacts,
} from './catalog.ts'
import {
  type Choice,
  chooseDatabases,
  type FoundDatabase,
  objectPrefix,
  type Skipped,
} from './choose.ts'
import { dumpDatabase, type DumpWork } from './dump-database.ts'
import { DumpProgress } from './dump-progress.ts'
import { explainConflict } from './recovery-conflict.ts'
import { removeUnnamed, type SetBeingMade, storeObject } from './store.ts'

export async function dump(context: Context): Promise<number> {
  const { config } = context
  const stanza = stanzaOf(context)
  assertNotStopped(config.text('lock-path'), stanza)
  const repo = firstRepo(context)
  await using lock = await lockStanza(context, ['dump'], [repo.key])
  const server = await connectClients(context, addressOf(context))
  await using session = await server.open(firstDatabase(config))
  const choice = await choose(context, server, session)
  const facts = await serverFacts(session, server.version)
  const place = await createDumps(repo, stanza)
  const set = await newSet(context, place)
  const manifest = await makeSet(context, { server, session, facts, choice, set, lock })
  report(context, manifest)
  // An older set may be the only one that has what this one has not.
  assertNothingClosed(choice)
  if (config.flag('expire-auto'))
    await expireDumps(context, repo, { kind: 'retention', mode: 'do' })
  return 0
}

async function choose(
  { config, log }: Context,
  server: ClientServer,
  session: PsqlSession,
): Promise<Choice> {
  const asked = { include: config.list('db-include'), exclude: config.list('db-exclude') }
  const choice = chooseDatabases(await listDatabases(session), asked)
  for (const pattern of choice.idle) log.warn(`no database is excluded by '${toOneLine(pattern)}'`)
  if (asked.include.includes('postgres')) return choice
  const postgres = choice.chosen.find(({ name }) => name === 'postgres')
  if (postgres === undefined) return choice
  await using there = await server.open('postgres')
  if (!(await isUntouched(there))) return choice
  return {
    ...choice,
    chosen: choice.chosen.filter((database) => database !== postgres),
    skipped: [...choice.skipped, { name: 'postgres', reason: 'nobody has used it' }],
  }
}

async function newSet({ config, clock, signal }: Context, place: DumpPlace): Promise<SetBeingMade> {
  const existing = (await listDumpSets(place.repo, place.stanza)).map((set) => set.label)
  const { label, notBeforeMs } = planDumpLabel(clock.nowMs(), existing)
  const earlyMs = notBeforeMs - clock.nowMs()
  if (earlyMs > 0) await clock.sleep(earlyMs, signal)
  return {
    place,
    label,
    compressType: compressTypeOf(config.text('compress-type')),
    compressLevel: config.integer('compress-level'),
  }
}

function compressTypeOf(text: string): CompressType {
  return COMPRESS_TYPES.find((type) => type === text) ?? 'none'
}

interface Making {
  readonly server: ClientServer
  readonly session: PsqlSession
  readonly facts: ServerFacts
  readonly choice: Choice
  readonly set: SetBeingMade
  readonly lock: StanzaLock
}

/** All or nothing: what is stored of a set that fails is removed, and if that fails too, it is not a set. */
async function makeSet(context: Context, making: Making): Promise<DumpManifest> {
  const { place, label } = making.set
  const prefix = dumpPrefix(place.stanza, label)
  let manifest: DumpManifest
  try {
    await beginDumpSet(place, label)
    manifest = await fillSet(context, making)
    await removeUnnamed(making.set, manifest)
    await place.storage.sync(prefix)
    context.signal.throwIfAborted()
    await saveDumpManifest(place, manifest)
  } catch (error) {
    try {
      // Its manifest may be there: only the last step of storing it may have failed.
      await removeDumpSet(place.storage, place.stanza, label)
    } catch (left) {
      context.log.warn(
        `unable to remove what is left of dump set ${label}: ${asAppError(left).message}\n` +
          'HINT: it is not listed; the next expire removes it.',
      )
    }
    // Whichever call was under way when it was told to stop.
    context.signal.throwIfAborted()
    throw explainConflict(error)
  } finally {
    context.progress(undefined)
  }
  await clearMark(place.storage, place.stanza, label).catch((error: unknown) => {
    // The set is whole; the next expire removes the mark.
    context.log.warn(`dump set ${label} is still marked as unfinished: ${asAppError(error).text}`)
  })
  return manifest
}

async function fillSet(context: Context, making: Making): Promise<DumpManifest> {
  const { config, clock, log } = context
  const { server, facts, choice, set } = making
  const startedMs = clock.nowMs()
  sayWhatIsLeftOut(context, making)
  const work: DumpWork = {
    context,
    server,
    facts,
    set,
    jobs: config.optionalInteger('jobs'),
    coverage: coverageOf(config),
    progress: progressOf(context, making),
  }
  const databases: DumpedDatabase[] = []
  const gone: Skipped[] = []
  for (const [index, database] of choice.chosen.entries()) {
    const prefix = objectPrefix(
      index,
      database.name,
      set.place.pass === undefined ? 'shown' : 'hidden',
    )
    const dumped = await unlessDropped(making, database, dumpDatabase(work, database, prefix))
    if (dumped === undefined) {
      log.warn(`database '${toOneLine(database.name)}' was dropped or renamed meanwhile`)
      gone.push({ name: database.name, reason: 'dropped or renamed during the dump' })
      continue
    }
    databases.push(dumped)
    log.info(databaseText(dumped))
  }
  // Last: then it has every role that a database may name.
  const globals = await dumpGlobals(context, making)
  const notes = config.map('annotation')
  if (notes.size > 0) await saveDumpNotes(set.place, set.label, notes)
  return {
    version: 1,
    label: set.label,
    stanza: set.place.stanza,
    toolVersion: WRITER_VERSION,
    startedMs,
    endedMs: clock.nowMs(),
    server: facts,
    clientVersion: server.programs.version,
    compressType: set.compressType,
    compressLevel: set.compressLevel,
    cipher: cipherOf(set.place),
    globals,
    databases,
    skipped: [...choice.skipped, ...choice.closed, ...gone],
  }
}

/** What a fingerprint covers of large tables. */
function coverageOf(config: Config): DumpWork['coverage'] {
  const how = config.text('fingerprint')
  if (how === 'none' || how === 'full') return how === 'none' ? how : coverAll
  const above =
    how === 'count'
      ? { kind: 'counted' as const }
      : { kind: 'sampled' as const, percent: config.integer('fingerprint-sample-percent') }
  return coverUpTo(config.bytes('fingerprint-above'), above)
}

function cipherOf({ pass }: DumpPlace): DumpManifest['cipher'] {
  return pass === undefined ? null : { type: 'aes-256-cbc', keyId: keyIdOf(pass) }
}

function sayWhatIsLeftOut({ log }: Context, { choice, facts }: Making): void {
  for (const { name, reason } of choice.skipped) {
    log.info(`database '${toOneLine(name)}' is not dumped: ${reason}`)
  }
  for (const { name, reason } of choice.closed) {
    log.warn(`database '${toOneLine(name)}' cannot be dumped: ${reason}`)
  }
  if (choice.chosen.length + choice.closed.length === 0) {
    log.warn('there is no database to dump: the dump set has roles and tablespaces only')
  }
  if (!facts.inRecovery) return
  log.info('the server is a standby: the content of unlogged tables is not in the dump')
}

function progressOf({ progress }: Context, { choice, lock }: Making): DumpProgress {
  return new DumpProgress({
    databases: new Map(choice.chosen.map(({ name, sizeBytes }) => [name, sizeBytes])),
    show: (state) => {
      progress(state)
      lock.progress({ sizeBytes: state.totalBytes, completeBytes: state.doneBytes })
    },
  })
}

/** Undefined when the dump failed because the database is no more: that is no failure of the dump. */
async function unlessDropped(
  { session }: Making,
  { oid, name }: FoundDatabase,
  dumping: Promise<DumpedDatabase>,
): Promise<DumpedDatabase | undefined> {
  try {
    return await dumping
  } catch (error) {
    if (!isErrorKind(error, 'db-connect')) throw error
    // The server itself may be gone; then the first error is the one to tell.
    const now = await findDatabase(session, oid).catch(() => name)
    if (now === name) throw error
    return undefined
  }
}

async function dumpGlobals(
  { config, log, signal }: Context,
  { server, session, set }: Making,
): Promise<DumpManifest['globals']> {
  const withoutPasswords = !(await mayReadPasswords(session))
  if (withoutPasswords) {
    log.warn(
      'passwords of roles are not dumped: this user may not read them\n' +
        'HINT: dump as a superuser to have them.',
    )
  }
  const output = outputOf({
    path: programPath(server.programs, 'pg_dumpall'),
    args: [
      '--globals-only',
      '--quote-all-identifiers',
      '--no-password',
      `--database=${databaseConninfo(firstDatabase(config))}`,
      ...(withoutPasswords ? ['--no-role-passwords'] : []),
    ],
    env: { ...server.address.env, PGAPPNAME: 'pgsurety [dump]' },
    signal,
    message: (line) => {
      log.detail(line)
    },
  })
  return { ...(await storeObject(set, 'globals.sql', output)), withoutPasswords }
}

function databaseText(database: DumpedDatabase): string {
  const { name, sizeBytes, dumpMs, fingerprintMs } = database
  const stored = formatSize(storedBytes(database))
  return `database '${toOneLine(name)}' dumped: size = ${formatSize(sizeBytes)}, stored = ${stored}, time = ${formatDuration(Math.max(dumpMs, fingerprintMs))}`
}

function report({ config, log, print }: Context, manifest: DumpManifest): void {
  const { label, databases, skipped, startedMs, endedMs, globals } = manifest
  log.info(`new dump set label = ${label}`)
  if (config.text('output') !== 'json') return
  const output = {
    label,
    startedMs,
    endedMs,
    databases: databases.map((database) => ({
      name: database.name,
      sizeBytes: database.sizeBytes,
      storedBytes: storedBytes(database),
      snapshot: database.snapshot,
      archives: database.archives,
      fingerprint: database.fingerprint !== null,
      dumpMs: database.dumpMs,
      fingerprintMs: database.fingerprintMs,
    })),
    globals: globals !== null,
    skipped,
  }
  print(`${JSON.stringify(output)}\n`)
}

/** The set is whole for all others and stays; but not all that was asked for is in it. */
function assertNothingClosed({ closed }: Choice): void {
  if (closed.length === 0) return
  const names = closed.map(({ name, reason }) => `'${toOneLine(name)}' (${reason})`).join(', ')
  throw new AppError('db-invalid', `not in the dump set: ${names}`, {
    hint: 'Leave them out with --db-exclude, or let them be connected to. Older dump sets are kept.',
  })
}
