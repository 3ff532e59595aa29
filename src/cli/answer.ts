/** help, version and completion: answered from the tables, without configuration, log or lock. */
import { asAppError } from '../base/error.ts'
import { renderCompletion } from '../config/completion.ts'
import type { Config } from '../config/config.ts'
import { renderHelp } from '../config/help.ts'
import type { Program } from './cli.ts'
import { VERSION } from './version.ts'

export function answer(program: Program, config: Config): number {
  try {
    program.writeOut(textFor(config))
    return 0
  } catch (error) {
    const failed = asAppError(error)
    program.writeError(`ERROR: [${String(failed.exitCode).padStart(3, '0')}]: ${failed.text}\n`)
    return failed.exitCode
  }
}

function textFor(config: Config): string {
  if (config.command === 'help') return renderHelp(config.parameters)
  if (config.command === 'completion') return renderCompletion(config.parameters[0] ?? 'bash')
  // `--output=num` is six digits or more, one pair per part, without LF, as pgBackRest prints it.
  if (config.text('output') === 'num') {
    const [major = '0', minor = '0', patch = '0'] = VERSION.split('.')
    return `${Number(major)}${minor.padStart(3, '0')}${patch.padStart(3, '0')}`
  }
  return `pgsurety ${VERSION}\n`
}
