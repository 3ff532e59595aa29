/** The backup that `--set` names, for commands that work on that one and no other. */
import { AppError } from '../base/error.ts'
import type { Config } from '../config/config.ts'
import { isLabel } from '../format/label.ts'

/** Throws `option-invalid-value` for what cannot be a label, `latest` too (pgBackRest 2.60). */
export function askedLabel(config: Config): string | undefined {
  const label = config.optionalText('set')
  if (label === undefined || isLabel(label)) return label
  throw new AppError('option-invalid-value', `'${label}' is not a valid backup label format`, {
    hint: "'info' prints the labels there are; they look like 20260502-100007F.",
  })
}
