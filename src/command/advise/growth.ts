/** How fast a database grows, by what its dumps say. Pure. */
import { DAY_MS, HOUR_MS } from '../../base/units.ts'

export interface DumpedSize {
  readonly name: string
  readonly sizeBytes: number
  readonly atMs: number
}

/** `dumps`: of one database, oldest first. Undefined when they lie too near together to tell. */
export function growthBytesPerDay(dumps: readonly DumpedSize[]): number | undefined {
  const [first, last] = [dumps.at(0), dumps.at(-1)]
  if (first === undefined || last === undefined || last.atMs - first.atMs < HOUR_MS)
    return undefined
  return Math.round(((last.sizeBytes - first.sizeBytes) * DAY_MS) / (last.atMs - first.atMs))
}
