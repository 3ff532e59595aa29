/** This program once more, on its own. */
import type { Background } from '../command/command.ts'

/** In a session of its own, so that neither a signal to our group nor our end ends it, and with nothing open of ours. */
export function startProcess(argv: readonly string[]): Background {
  // Loaded only here: archive-push runs for every segment, and starts a process for few.
  const { spawn } = process.getBuiltinModule('node:child_process')
  const program = [...process.execArgv, process.argv[1] ?? '', ...argv]
  const child = spawn(process.execPath, program, { detached: true, stdio: 'ignore' })
  let ended = false
  const end = (): void => {
    ended = true
  }
  // A start that fails is one that ended: whoever waits for its work asks no more of it.
  child.once('exit', end).once('error', end)
  child.unref()
  return { hasEnded: () => ended }
}
