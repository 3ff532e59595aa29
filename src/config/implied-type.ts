/** restore: `--target` without `--type`, where the target's text can only mean one type. */
import { AppError } from '../base/error.ts'
import type { CommandName } from './command-table.ts'
import { givenOption, type GivenOptions } from './given.ts'
import { displayName } from './option-name.ts'

/** Enough to tell it from anything else; whether it is a time that exists is found out when it is read. */
const TIME = /^\d{4}-\d\d-\d\d[ T]\d\d:\d\d/
const LSN = /^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/i

/** Adds the implied type to `given`. Throws `option-invalid` for a target on the command line that could be several. */
export function addImpliedType(command: CommandName, given: GivenOptions): void {
  if (command !== 'restore' || givenOption(given, 'type', 1) !== undefined) return
  const target = givenOption(given, 'target', 1)
  const text = target?.values[0]
  if (target === undefined || text === undefined) return
  const type = inferTargetType(text)
  if (type !== undefined) {
    given.set(displayName('type', 1), {
      name: 'type',
      index: 1,
      form: 'set',
      source: 'default',
      values: [type],
    })
  } else if (target.source === 'command-line') {
    throw new AppError(
      'option-invalid',
      `option 'target' not valid without option 'type' in ('lsn', 'name', 'time', 'xid')`,
      { hint: hintFor(text) },
    )
  }
}

/** The type that a target's text can only have; a number or a word could be several. */
function inferTargetType(text: string): 'time' | 'lsn' | undefined {
  if (TIME.test(text)) return 'time'
  return LSN.test(text) ? 'lsn' : undefined
}

function hintFor(text: string): string {
  return /^\d+$/.test(text)
    ? "use '--type=xid' for a transaction id, '--type=name' for a restore point."
    : "use '--type=name' for a restore point; write times as '2026-05-02 14:29:59+00'."
}
