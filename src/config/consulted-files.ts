/** Which files a configuration came from: for whoever wants to know whether it would be the same now. */
import type { ConfigFiles } from './config-files.ts'

export interface ConsultedFiles {
  /** Files and directories that were there. */
  readonly present: readonly string[]
  readonly absent: readonly string[]
}

/** `files`, and what was asked of them so far. */
export function noteConsulted(files: ConfigFiles): {
  readonly files: ConfigFiles
  readonly consulted: () => ConsultedFiles
} {
  const seen = new Map<string, 'present' | 'absent'>()
  const noted = <T>(path: string, found: T | undefined): T | undefined => {
    seen.set(path, found === undefined ? 'absent' : 'present')
    return found
  }
  const those = (which: string): readonly string[] =>
    [...seen].filter(([, state]) => state === which).map(([path]) => path)
  return {
    files: {
      read: (path) => noted(path, files.read(path)),
      list: (path) => noted(path, files.list(path)),
      mode: (path) => noted(path, files.mode(path)),
      run: (shellCommand) => files.run(shellCommand),
    },
    consulted: () => ({ present: those('present'), absent: those('absent') }),
  }
}
