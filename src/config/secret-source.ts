/** Where a secret comes from: the option itself, a file (`-file`) or a program (`-command`). */
import { AppError } from '../base/error.ts'
import { Secret } from '../base/secret.ts'
import type { ConfigFiles } from './config-files.ts'
import { displayName } from './option-name.ts'
import { companionsOf, optionRow, type OptionName } from './option-table.ts'
import type { Resolved, ResolvedOption } from './resolve.ts'

const GROUP_OR_WORLD_READABLE = 0o044

/** Throws `option-invalid` when a secret is given in more than one way; warns of files that others can read. */
export function checkSecrets(resolved: Resolved, files: ConfigFiles, warnings: string[]): void {
  for (const option of resolved.options.values()) {
    if (optionRow(option.name).secret !== true) continue
    const given = [option, ...companions(resolved, option.name, option.index)].filter(isGiven)
    const [first, second] = given.map(({ name, index }) => displayName(name, index))
    if (second !== undefined) {
      throw new AppError('option-invalid', `options '${first}' and '${second}' cannot both be set`)
    }
    const path = given.find(({ name }) => name === `${option.name}-file`)?.value
    if (typeof path === 'string' && ((files.mode(path) ?? 0) & GROUP_OR_WORLD_READABLE) !== 0) {
      warnings.push(
        `secret file '${path}' can be read by others than its owner\nHINT: run 'chmod 600 ${path}'.`,
      )
    }
  }
}

/** Reads the file or runs the program when there is one. Throws `file-missing`, `execute`, `option-invalid-value`. */
export function readSecret(
  resolved: Resolved,
  files: ConfigFiles,
  { name, index }: { readonly name: OptionName; readonly index: number },
): Secret | undefined {
  const companion = companions(resolved, name, index).find(isGiven)
  if (typeof companion?.value !== 'string') {
    const own = resolved.options.get(displayName(name, index))?.value
    return typeof own === 'string' ? new Secret(own) : undefined
  }
  const text =
    companion.name === `${name}-file`
      ? readSecretFile(files, companion.value)
      : files.run(companion.value)
  const secret = text.replace(/\r?\n$/, '')
  if (secret === '') {
    throw new AppError(
      'option-invalid-value',
      `option '${displayName(companion.name, index)}' gives an empty secret`,
    )
  }
  return new Secret(secret)
}

function readSecretFile(files: ConfigFiles, path: string): string {
  const text = files.read(path)
  if (text === undefined) throw new AppError('file-missing', `secret file '${path}' does not exist`)
  return text
}

function companions(
  resolved: Resolved,
  name: OptionName,
  index: number,
): readonly ResolvedOption[] {
  return companionsOf(name).flatMap((companion) => {
    const option = resolved.options.get(displayName(companion, index))
    return option === undefined ? [] : [option]
  })
}

function isGiven({ value, source }: ResolvedOption): boolean {
  return value !== undefined && source !== 'default'
}
