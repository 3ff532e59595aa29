/** Whether a manifest, which comes from outside, stays within the places it names. Pure. */
import { posix } from 'node:path'
import { AppError } from '../../base/error.ts'
import { toHumanText } from '../../base/text.ts'
import type { Manifest, ManifestLink, ManifestTarget } from '../../format/manifest.ts'

/** Below the data directory or one tablespace, without empty parts, `.`, `..` and NUL. */
const INSIDE = /^(?:pg_data|pg_tblspc\/[1-9]\d*)(?:\/(?!\.{1,2}(?:\/|$))[^/\0]+)+$/
/** What only directories and targets are called. */
const ROOT = /^(?:pg_data|pg_tblspc(?:\/[1-9]\d*)?)$/

/**
 * Throws `format` when a name leads out of the data directory and the tablespaces, or a link anywhere but to a target:
 * restoring what is below such a link would write to places that nobody has looked at.
 */
export function assertNamesInside(manifest: Manifest): void {
  const { label, files, links, paths, targets } = manifest
  const roots = [...paths, ...targets].filter(({ name }) => !ROOT.test(name))
  const outside = [...files, ...links, ...roots].find(({ name }) => !INSIDE.test(name))
  if (outside !== undefined) {
    throw invalid(label, `'${toHumanText(outside.name)}' is not below the data directory`)
  }
  const byName = new Map(targets.map((target) => [target.name, target]))
  const astray = links.find((link) => !leadsToTarget(link, byName))
  if (astray === undefined) return
  const { name, destination } = astray
  throw invalid(label, `link '${toHumanText(name)}' to '${toHumanText(destination)}' has no target`)
}

function leadsToTarget(
  { name, destination }: ManifestLink,
  targets: ReadonlyMap<string, ManifestTarget>,
): boolean {
  const target = targets.get(name.replace(/^pg_data\/(?=pg_tblspc\/)/, ''))
  if (target?.kind !== 'link') return false
  const path = target.file === undefined ? target.path : posix.join(target.path, target.file)
  return withoutSlash(path) === withoutSlash(destination)
}

function withoutSlash(path: string): string {
  return posix.normalize(path).replace(/\/$/, '')
}

function invalid(label: string, message: string): AppError {
  return new AppError('format', `manifest of backup '${label}' cannot be restored: ${message}`, {
    hint: 'it was damaged or forged; choose another backup with --set.',
  })
}
