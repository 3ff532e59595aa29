/** repo-get: one file of a repository on standard output, decrypted and as compressed as it is stored. */
import { isErrorKind } from '../base/error.ts'
import { decryptor } from '../pipe/cipher.ts'
import { through } from '../pipe/pipe.ts'
import type { Context } from './command.ts'
import { repoArgument } from './repo-argument.ts'
import { passOf } from './repo-key.ts'

/** With --ignore-missing, for a file that is certainly not there (pgBackRest). */
const NOT_FOUND_EXIT_CODE = 1

export async function repoGet(context: Context): Promise<number> {
  const argument = repoArgument(context)
  const { storage } = argument.repo
  // Of keys that cannot be loaded nobody can say that they are only missing.
  const pass = await passOf(context, argument)
  const filters = pass === undefined ? [] : [decryptor(pass, 'normal')]
  try {
    for await (const chunk of through(storage.get(argument.key), ...filters)) {
      await context.write(chunk)
    }
    return 0
  } catch (error) {
    const isMissing = isErrorKind(error, 'file-missing')
    if (isMissing && context.config.flag('ignore-missing')) return NOT_FOUND_EXIT_CODE
    throw error
  }
}
