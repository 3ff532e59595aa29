/** Which files are stored together, and in which order. Pure; rules of pgBackRest 2.60. */
import { compareBytes } from '../../base/text.ts'
import type { ManifestFile } from '../../format/manifest.ts'

export interface BundleRules {
  /** The largest file that is bundled. */
  readonly limitBytes: number
  /** Content at which a bundle is closed. */
  readonly sizeBytes: number
}

interface Planned {
  readonly file: Pick<ManifestFile, 'name' | 'sizeBytes' | 'timestampS'>
}

export interface Arranged<File> {
  /** Stored each by itself, largest first. */
  readonly alone: File[]
  readonly bundles: readonly File[][]
}

/** Bundles hold files of one target: a restore of one tablespace need not read another's. */
export function arrange<File extends Planned>(
  files: readonly File[],
  rules: BundleRules | undefined,
): Arranged<File> {
  const isBundled = ({ file }: File): boolean =>
    rules !== undefined && file.sizeBytes <= rules.limitBytes
  const alone = files.filter((file) => !isBundled(file))
  const queues = Map.groupBy(files.filter(isBundled), ({ file }) => targetOf(file.name))
  const sorted = [...queues.keys()].toSorted(compareBytes)
  return {
    alone: alone.toSorted((left, right) => right.file.sizeBytes - left.file.sizeBytes),
    bundles: sorted.flatMap((target) =>
      cut((queues.get(target) ?? []).toSorted(byAge), rules?.sizeBytes ?? 0),
    ),
  }
}

/** `pg_data`, or `pg_tblspc/16384`. */
function targetOf(name: string): string {
  return /^(?:pg_tblspc\/)?[^/]+/.exec(name)?.[0] ?? name
}

/** Oldest first: what changes together is stored together. */
function byAge({ file: left }: Planned, { file: right }: Planned): number {
  return left.timestampS - right.timestampS || compareBytes(left.name, right.name)
}

function cut<File extends Planned>(
  files: readonly File[],
  sizeBytesMin: number,
): readonly File[][] {
  const bundles: File[][] = []
  let roomBytes = 0
  for (const file of files) {
    if (roomBytes <= 0) {
      bundles.push([])
      roomBytes = sizeBytesMin
    }
    bundles.at(-1)?.push(file)
    roomBytes -= file.file.sizeBytes
  }
  return bundles
}
