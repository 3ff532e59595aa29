/**
 * info: what the repositories hold, as text or as JSON, both byte for byte those of pgBackRest 2.60. Needs no lock and no
 * server; the exit code is 0 even when a repository cannot be read, and the status tells.
 */
import { AppError } from '../../base/error.ts'
import { toHumanText } from '../../base/text.ts'
import type { Config } from '../../config/config.ts'
import { renderJson } from '../../format/json.ts'
import type { BackupKind } from '../../format/label.ts'
import type { Context } from '../command.ts'
import type { InfoFacts, Question } from './facts.ts'
import { gatherStanzas } from './gather.ts'
import { infoToJson } from './info-json.ts'
import { infoToText } from './info-text.ts'

export async function info(context: Context): Promise<number> {
  const question = questionOf(context.config)
  const facts: InfoFacts = { question, stanzas: await gatherStanzas(context, question) }
  const output =
    context.config.text('output') === 'json' ? renderJson(infoToJson(facts)) : infoToText(facts)
  context.print(toHumanText(output))
  return 0
}

function questionOf(config: Config): Question {
  const detail = config.text('detail-level') === 'progress' ? 'progress' : 'full'
  const label = config.optionalText('set')
  if (label !== undefined && detail === 'progress') {
    throw new AppError(
      'option-invalid',
      "option 'set' cannot be used with option 'detail-level' = 'progress'",
    )
  }
  const gaps = config.flag('gaps') ? 'told' : 'not-told'
  return { gaps, detail, label, kind: backupKind(config.optionalText('type')) }
}

function backupKind(text: string | undefined): BackupKind | undefined {
  return text === 'full' || text === 'diff' || text === 'incr' ? text : undefined
}
