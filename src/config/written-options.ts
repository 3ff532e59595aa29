/** Options written back as they could stand on a command line: for logs and for commands that call this program again. */
import { isNegatable } from './option-name.ts'
import { optionRow } from './option-table.ts'
import type { GivenOptions } from './given.ts'
import type { Resolved } from './resolve.ts'

/** `value` is '' for `no-x` and `reset-x`, which take none. */
export interface WrittenOption {
  readonly name: string
  readonly value: string
}

/** In the order of the names; one entry for each item of a list or hash; secrets are `<redacted>`. */
export function writtenOptions(
  resolved: Resolved,
  given: GivenOptions,
  from: 'command-line' | 'everywhere',
): readonly WrittenOption[] {
  return [...resolved.options.entries()].flatMap(([shown, option]): readonly WrittenOption[] => {
    const written = given.get(shown)
    if (written === undefined || (from === 'command-line' && written.source !== from)) return []
    if (written.form === 'reset') return [{ name: `reset-${shown}`, value: '' }]
    const row = optionRow(option.name)
    if (option.source === 'default') return []
    if (option.value === undefined && isNegatable(row)) return [{ name: `no-${shown}`, value: '' }]
    if (row.secret === true || written.values.some(holdsPassword)) {
      return [{ name: shown, value: '<redacted>' }]
    }
    return written.values.map((value) => ({ name: shown, value }))
  })
}

/** A conninfo must not have one and is refused; by then it has been logged. */
function holdsPassword(value: string): boolean {
  return /password\s*=|^postgres(?:ql)?:\/\//i.test(value)
}

/** `--name=value`, `--no-name`. */
export function renderArgument({ name, value }: WrittenOption): string {
  return value === '' ? `--${name}` : `--${name}=${value}`
}
