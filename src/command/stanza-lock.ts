/** The locks a command holds on this host, for every repository it works on: against itself and against pgBackRest. */
import { acquireLock, type LockType, type StanzaLock } from '../repo/lock.ts'
import { type Context, stanzaOf } from './command.ts'

/**
 * Takes `<stanza>-<type>-<repo key>.lock` for every combination, and the name without the key that pgBackRest before 2.53
 * uses. `lock-acquire` when somebody holds one; what was taken is then given back.
 */
export async function lockStanza(
  context: Context,
  types: readonly LockType[],
  repoKeys: readonly number[],
): Promise<StanzaLock> {
  const stack = new AsyncDisposableStack()
  const locks: StanzaLock[] = []
  try {
    for (const type of types) {
      for (const repoKey of [undefined, ...repoKeys]) {
        const lock = await acquireLock({
          lockPath: context.config.text('lock-path'),
          stanza: stanzaOf(context),
          type,
          repoKey,
          execId: context.execId,
        })
        stack.use(lock)
        locks.push(lock)
      }
    }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
  return {
    progress: (state) => {
      for (const lock of locks) lock.progress(state)
    },
    [Symbol.asyncDispose]: async () => {
      await stack.disposeAsync()
    },
  }
}
