/**
 * PostgreSQL's programs write rows in pieces of 4 KiB, as the C library does to pipes: a quarter of a million of them for a
 * gigabyte, each a call for the writer and most of them one for the reader. `stdbuf` of GNU coreutils makes them larger, for less
 * than half of the processor time (measured with psql and pg_dump 17, rows of 97 bytes).
 */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

export interface Command {
  readonly path: string
  readonly args: readonly string[]
}

/** Of what a pipe takes at once. */
const PIECE = '64K'

/** The same command with large pieces, or as it is where there is no stdbuf: `pathVariable` says where it may be. */
export function inLargePieces(command: Command, pathVariable: string | undefined): Command {
  const stdbuf = (pathVariable ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'stdbuf'))
    .find(isProgram)
  // That a program is not there is to be said of that program.
  if (stdbuf === undefined || !isProgram(command.path)) return command
  return { path: stdbuf, args: [`--output=${PIECE}`, command.path, ...command.args] }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
