/** repo-put: standard input as one file of a repository, encrypted as repo-get decrypts it. */
import { AppError } from '../base/error.ts'
import { toHumanText } from '../base/text.ts'
import { encryptor } from '../pipe/cipher.ts'
import { through } from '../pipe/pipe.ts'
import type { Context } from './command.ts'
import { repoArgument } from './repo-argument.ts'
import { passOf } from './repo-key.ts'

export async function repoPut(context: Context): Promise<number> {
  const argument = repoArgument(context)
  const { repo, key } = argument
  const pass = await passOf(context, argument)
  if (!context.config.flag('force') && (await repo.storage.stat(key)) !== undefined) {
    throw new AppError('file-exists', `'${toHumanText(key)}' is there already`, {
      hint: 'use --force to replace it.',
    })
  }
  const filters = pass === undefined ? [] : [encryptor(pass, 'normal')]
  await repo.storage.put(key, through(context.input(), ...filters))
  return 0
}
