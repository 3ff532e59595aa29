/** start: allows again what stop has forbidden. */
import { removeStopFile } from '../repo/stop-file.ts'
import type { Context } from './command.ts'

export async function start({ config, log }: Context): Promise<number> {
  const { stanza } = config
  if (removeStopFile(config.text('lock-path'), stanza) === 'not-there') {
    log.warn(`stop file does not exist${stanza === undefined ? '' : ` for stanza '${stanza}'`}`)
  }
  return await Promise.resolve(0)
}
