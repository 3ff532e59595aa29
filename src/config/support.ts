/** Refuses what pgBackRest can do and this program cannot yet, so that nothing is silently ignored. */
import { isDeepStrictEqual } from 'node:util'
import { AppError } from '../base/error.ts'
import type { CommandName } from './command-table.ts'
import { displayName } from './option-name.ts'
import { ruleFor } from './option-row.ts'
import { optionRow } from './option-table.ts'
import { parseOptionValue } from './option-value.ts'
import type { ResolvedOption } from './resolve.ts'

/** Throws `option-invalid`, naming the first such option. */
export function assertSupported(options: Iterable<ResolvedOption>, command: CommandName): void {
  for (const option of options) {
    if (option.source === 'default' || option.value === undefined) continue
    const row = optionRow(option.name)
    const rule = ruleFor(row, command)
    const shown = displayName(option.name, option.index)
    const unsupported = option.texts.find((text) => rule.supported?.includes(text) === false)
    if (unsupported !== undefined) {
      throw new AppError(
        'option-invalid',
        `value '${unsupported}' of option '${shown}' is not yet supported`,
        {
          hint: `supported so far: ${rule.supported?.join(', ')}`,
        },
      )
    }
    if (row.support === 'not-yet' && !isDefault(option, command)) {
      throw new AppError('option-invalid', `option '${shown}' is not yet supported`)
    }
  }
}

function isDefault(option: ResolvedOption, command: CommandName): boolean {
  const row = optionRow(option.name)
  const rule = ruleFor(row, command)
  if (typeof rule.default !== 'string') return false
  const value = parseOptionValue([rule.default], {
    shown: option.name,
    row,
    rule,
    dependedValue: undefined,
  })
  return isDeepStrictEqual(value, option.value)
}
