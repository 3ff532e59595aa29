/** Starting the background process of a stanza's archive, of which there is at most one on a host. */
import { renderArgument } from '../../config/written-options.ts'
import { isLocked, lockFile } from '../../repo/lock.ts'
import { type Background, type Context, stanzaOf } from '../command.ts'

/** What the background process is told otherwise than the command that starts it. */
const NOT_HANDED_ON: ReadonlySet<string> = new Set([
  'exec-id',
  'log-level-console',
  'log-level-stderr',
])

/** Whether some process, ours or pgBackRest's, archives for the stanza at the moment. */
export async function isArchiveBusy({ config }: Context): Promise<boolean> {
  const lock = {
    lockPath: config.text('lock-path'),
    stanza: config.text('stanza'),
    type: 'archive',
  } as const
  for (const repoKey of [undefined, ...config.indexes('repo')]) {
    if (await isLocked(lockFile({ ...lock, repoKey }))) return true
  }
  return false
}

/** Starts `<command>:async` with the options of this command line; it reads environment and files itself. */
export function startBackground(context: Context, parameters: readonly string[]): Background {
  const { config, execId } = context
  const options = config
    .commandLine()
    .filter(({ name }) => !NOT_HANDED_ON.has(name))
    .map(renderArgument)
  const own = [`--exec-id=${execId}`, '--log-level-console=off', '--log-level-stderr=off']
  return context.startProcess([...options, ...own, `${config.command}:async`, ...parameters])
}

/** The hint for a command that waited in vain. */
export function hintOfLog(context: Context): string {
  const { config } = context
  return `check '${config.text('log-path')}/${stanzaOf(context)}-${config.command}-async.log' for errors.`
}
