/**
 * The database that a restore makes: under a working name until it is complete, so that one which is half restored never has the
 * name that was asked for.
 */
import { AppError, asAppError, isErrorKind } from '../../base/error.ts'
import type { PsqlSession } from '../../postgres/psql.ts'
import { sqlName, sqlText } from '../../postgres/quote.ts'
import { textColumn } from '../../postgres/row.ts'
import type { ClientServer } from '../client-server.ts'
import type { Context } from '../command.ts'
import {
  createDatabaseSql,
  keepOthersOutSql,
  openDatabaseSql,
  settingsSql,
} from './database-sql.ts'
import { isLeftOver, keptNote, replacedName, unfinishedNote, workingName } from './names.ts'
import type { Target } from './open-target.ts'
import type { DatabasePlan } from './plan.ts'
import { lockName, lockNameWithin } from './target.ts'

export interface Making {
  readonly target: Target
  readonly plan: DatabasePlan
  readonly label: string
}

/** Removes what killed restores of the same name left. One that is at work holds the lock on its working name. */
export async function removeLeftOvers({ log }: Context, { target, plan }: Making): Promise<void> {
  const { client, session, server } = target
  for (const [name, found] of server.databases) {
    if (!isLeftOver(plan.name, { name, ...found })) continue
    if ((await lockName(session, name)) === 'held') continue
    log.info(`remove database '${name}', which an interrupted restore has left`)
    await drop(client, session, name)
  }
}

/** Makes it, empty; its name. */
export async function makeDatabase(context: Context, making: Making): Promise<string> {
  const { target, plan } = making
  const working = workingName(plan.name, context.execId)
  if ((await lockName(target.session, working)) === 'held') {
    throw new AppError('lock-acquire', `another restore works in database '${working}'`)
  }
  try {
    await makeEmpty(making, working)
  } catch (error) {
    await dropWorking(context, target, working)
    context.signal.throwIfAborted()
    throw error
  }
  return working
}

async function makeEmpty({ target, plan, label }: Making, working: string): Promise<void> {
  const { session, server } = target
  const { definition } = plan.source
  await session.run(
    createDatabaseSql(working, definition, { major: server.major, deviations: plan.deviations }),
  )
  await session.run(
    `comment on database ${sqlName(working)} is ${sqlText(unfinishedNote(plan.name, label))}`,
  )
  await session.run(keepOthersOutSql(working))
  await session.run(`alter database ${sqlName(working)} allow_connections true`)
}

/** For what the server has begun: it copies a template. */
const PATIENCE = '30s'

/** Also after the signal has ended every other session. What cannot be dropped now, the next restore will. */
export async function dropWorking(
  { log, signal }: Context,
  { client, server }: Target,
  working: string,
): Promise<void> {
  try {
    await using session = await client.open(server.database, new AbortController().signal)
    // The server may be making it still, for the session that has ended.
    if (signal.aborted) await lockNameWithin(session, working, PATIENCE)
    await drop(client, session, working)
  } catch (error) {
    log.warn(`database '${working}' stays until the next restore: ${asAppError(error).text}`)
  }
}

/** With whatever is still at work in it, and with its subscriptions, which have never been connected. */
async function drop(client: ClientServer, session: PsqlSession, name: string): Promise<void> {
  const subscriptions = await session.rows(
    `select subname::text as name from pg_catalog.pg_subscription s join pg_catalog.pg_database d on d.oid = s.subdbid
     where d.datname = ${sqlText(name)}`,
  )
  if (subscriptions.length > 0) {
    await using there = await client.open(name, new AbortController().signal)
    for (const row of subscriptions) {
      const subscription = sqlName(textColumn(row, 'name'))
      await there.run(`alter subscription ${subscription} disable`)
      await there.run(`alter subscription ${subscription} set (slot_name = none)`)
      await there.run(`drop subscription ${subscription}`)
    }
  }
  await session.run(`drop database if exists ${sqlName(name)} with (force)`)
}

/** Notes on it that it is not what was dumped; it keeps its working name. */
export async function keepAside(
  { target, plan, label }: Making,
  working: string,
  why: string,
): Promise<void> {
  const note = keptNote(plan.name, label, why)
  await target.session.run(`comment on database ${sqlName(working)} is ${sqlText(note)}`)
}

/** What the server did not take, in its words. */
export async function giveSettings(
  { target, plan }: Making,
  working: string,
): Promise<readonly string[]> {
  const problems: string[] = []
  for (const statement of settingsSql(working, plan.source.definition, plan.deviations)) {
    try {
      await target.session.run(statement)
    } catch (error) {
      if (!isErrorKind(error, 'db-query')) throw error
      problems.push(`${error.message}\nCommand was: ${statement}`)
    }
  }
  return problems
}

/**
 * Gives it the asked name and what is said of databases, in one transaction; then drops the one it replaces. Throws when it keeps its
 * working name; what is given back went wrong when it had its name already.
 */
export async function putInPlace(
  { execId }: Context,
  { target, plan }: Making,
  working: string,
): Promise<AppError | undefined> {
  const { session } = target
  const old = replacedName(plan.name, execId)
  await inTransaction(session, [
    ...(plan.replaces ? [renameSql(plan.name, old)] : []),
    renameSql(working, plan.name),
    ...openDatabaseSql(plan.name, plan.source.definition, plan.deviations),
  ])
  if (!plan.replaces) return undefined
  try {
    await session.run(`drop database ${sqlName(old)}`)
    return undefined
  } catch (error) {
    if (!isErrorKind(error, 'db-query')) throw error
    return new AppError(
      'db-query',
      `'${plan.name}' is restored, but the database it replaces is still there as '${old}': ${error.message}`,
      { hint: `When nobody is connected: drop database ${sqlName(old)};`, cause: error },
    )
  }
}

/** For a person who takes a database as it is that was kept aside. */
export function takeAsItIsSql(
  { name, replaces, source, deviations }: DatabasePlan,
  working: string,
): readonly string[] {
  return [
    ...(replaces ? [`drop database ${sqlName(name)}`] : []),
    renameSql(working, name),
    ...openDatabaseSql(name, source.definition, deviations),
  ]
}

function renameSql(from: string, to: string): string {
  return `alter database ${sqlName(from)} rename to ${sqlName(to)}`
}

/** All of them or none; throws what went wrong first. */
export async function inTransaction(
  session: PsqlSession,
  statements: readonly string[],
): Promise<void> {
  await session.run('begin')
  try {
    for (const statement of statements) await session.run(statement)
    await session.run('commit')
  } catch (error) {
    // A session that is lost has rolled back, and says less of why.
    await session.run('rollback').catch(() => undefined)
    throw error
  }
}
