/** The backup or dump set that `--set` names, for commands that work on that one and no other. */
import { AppError } from '../base/error.ts'
import type { Config } from '../config/config.ts'
import { isDumpLabel, isLabel } from '../format/label.ts'

/** Throws `option-invalid-value` for what cannot be a label, `latest` too (pgBackRest 2.60). */
export function askedLabel(config: Config): string | undefined {
  const label = config.optionalText('set')
  if (label === undefined || isLabel(label)) return label
  throw new AppError('option-invalid-value', `'${label}' is not a valid backup label format`, {
    hint: "'info' prints the labels there are; they look like 20260502-100007F.",
  })
}

/** Throws `option-invalid-value` for what cannot be the label of a dump set. */
export function askedDumpLabel(config: Config): string | undefined {
  const label = config.optionalText('set')
  if (label === undefined || isDumpLabel(label)) return label
  throw new AppError('option-invalid-value', `'${label}' is not a valid dump set label format`, {
    hint: "'info' prints the labels there are; they look like 20260502-100007L.",
  })
}

/** The label when it is that of a dump set, for commands that work on backups, too. */
export function dumpLabelIn(config: Config): string | undefined {
  const label = config.optionalText('set')
  return label !== undefined && isDumpLabel(label) ? label : undefined
}
