/** The server that a dump goes to. */
import { type ClientPrograms, fittingPrograms } from '../../postgres/client-programs.ts'
import type { PsqlSession } from '../../postgres/psql.ts'
import {
  addressOf,
  clientPrograms,
  type ClientServer,
  connectClients,
  firstDatabase,
} from '../client-server.ts'
import type { Context } from '../command.ts'
import { readTarget, type TargetServer } from './target.ts'

export interface Target extends AsyncDisposable {
  /** For pg_restore. */
  readonly programs: ClientPrograms
  readonly client: ClientServer
  readonly server: TargetServer
  /** In the database to connect to, for as long as the command runs. */
  readonly session: PsqlSession
}

/** `dumpMajor`: of the pg_dump that made the archives. When all programs are older, `programs` are, too. */
export async function openTarget(context: Context, dumpMajor: number): Promise<Target> {
  const { config } = context
  const client = await connectClients(
    context,
    addressOf(context, config.optionalText('to-conninfo')),
  )
  await using stack = new AsyncDisposableStack()
  const session = stack.use(await client.open(firstDatabase(config)))
  const server = await readTarget(session)
  const owned = stack.move()
  const neededMajor = Math.max(client.major, dumpMajor)
  return {
    programs: fittingPrograms(await clientPrograms(context), neededMajor) ?? client.programs,
    client,
    server,
    session,
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync()
    },
  }
}
