/** Settings that follow from others (pgBackRest 2.60, end of its configuration load). */
import { AppError } from '../base/error.ts'
import { SECOND_MS } from '../base/units.ts'
import { displayName } from './option-name.ts'
import type { OptionName } from './option-table.ts'
import type { Resolved, ResolvedOption } from './resolve.ts'

/** Changes `resolved.options`. Throws `option-invalid-value` when the timeouts contradict each other. */
export function deriveSettings(resolved: Resolved, warnings: string[]): void {
  deriveTimeouts(resolved)
  deriveCompression(resolved, warnings)
  for (const index of resolved.indexes.repo) deriveRetention({ resolved, index, warnings })
}

/** Waiting for another process must last longer than that process may wait for the database. */
function deriveTimeouts(resolved: Resolved): void {
  const protocol = optionAt(resolved, 'protocol-timeout')
  const db = optionAt(resolved, 'db-timeout')
  if (typeof protocol?.value !== 'number' || typeof db?.value !== 'number') return
  if (protocol.value > db.value) return
  if (protocol.source === 'default') {
    change(resolved, protocol, db.value + 30 * SECOND_MS)
  } else if (db.source === 'default') {
    const lessMs = protocol.value - 30 * SECOND_MS
    change(resolved, db, lessMs >= 15 * SECOND_MS ? lessMs : Math.floor(protocol.value / 2))
  } else {
    const [shown] = protocol.texts
    throw new AppError(
      'option-invalid-value',
      `'${shown}' is not valid for 'protocol-timeout' option`,
      {
        hint: `'protocol-timeout' option (${shown}) should be greater than 'db-timeout' option (${db.texts[0]}).`,
      },
    )
  }
}

/** `compress` is older than `compress-type` and gives way to it. */
function deriveCompression(resolved: Resolved, warnings: string[]): void {
  const compress = optionAt(resolved, 'compress')
  const type = optionAt(resolved, 'compress-type')
  const level = optionAt(resolved, 'compress-level')
  if (compress === undefined || compress.source === 'default' || type === undefined) return
  if (type.source !== 'default') {
    warnings.push(
      "'compress' and 'compress-type' options should not both be set\nHINT: 'compress-type' is preferred and 'compress' is deprecated.",
    )
  } else if (compress.value === false) {
    change(resolved, { ...type, source: compress.source }, 'none')
    if (level !== undefined) change(resolved, { ...level, source: 'default' }, 0)
  }
}

interface Retention {
  readonly resolved: Resolved
  readonly index: number
  readonly warnings: string[]
}

/** Backups and WAL that nothing ever removes fill the disk; pgBackRest warns, and so do we. */
function deriveRetention({ resolved, index, warnings }: Retention): void {
  const full = optionAt(resolved, 'repo-retention-full', index)
  if (full === undefined) return
  const shownFull = displayName('repo-retention-full', index)
  const fullType = textAt(resolved, 'repo-retention-full-type', index)
  if (full.value === undefined) {
    warnings.push(
      `option '${shownFull}' is not set for '${displayName('repo-retention-full-type', index)}=${fullType}', the repository may run out of space\n` +
        `HINT: to retain full backups indefinitely (without warning), set option '${shownFull}' to the maximum.`,
    )
  }
  deriveArchiveRetention({ resolved, index, warnings })
}

/** WAL is kept for as many backups as are kept themselves, unless the option says otherwise. */
function deriveArchiveRetention({ resolved, index, warnings }: Retention): void {
  const archive = optionAt(resolved, 'repo-retention-archive', index)
  const diff = optionAt(resolved, 'repo-retention-diff', index)
  if (archive === undefined || diff === undefined) return
  const type = textAt(resolved, 'repo-retention-archive-type', index)
  const shownType = `${displayName('repo-retention-archive-type', index)}=${type}`
  const shownDiff = displayName('repo-retention-diff', index)
  if (archive.value !== undefined) {
    if (type !== 'diff' || diff.value !== undefined) return
    warnings.push(
      `option '${shownDiff}' is not set for '${shownType}'\n` +
        `HINT: to retain differential backups indefinitely (without warning), set option '${shownDiff}' to the maximum.`,
    )
    return
  }
  const follows =
    type === 'full'
      ? fullCount(resolved, index)
      : type === 'diff'
        ? numberAt(resolved, diff.name, index)
        : undefined
  if (follows !== undefined) change(resolved, archive, follows)
  if (follows !== undefined || type === 'full') return
  const shownArchive = displayName(archive.name, index)
  const missing =
    type === 'diff'
      ? `neither option '${shownArchive}' nor option '${shownDiff}' is set`
      : `option '${shownArchive}' is not set`
  warnings.push(`WAL segments will not be expired: option '${shownType}' but ${missing}`)
}

function fullCount(resolved: Resolved, index: number): number | undefined {
  if (textAt(resolved, 'repo-retention-full-type', index) !== 'count') return undefined
  return numberAt(resolved, 'repo-retention-full', index)
}

function numberAt(resolved: Resolved, name: OptionName, index: number): number | undefined {
  const value = optionAt(resolved, name, index)?.value
  return typeof value === 'number' ? value : undefined
}

function textAt(resolved: Resolved, name: OptionName, index: number): string {
  return optionAt(resolved, name, index)?.texts[0] ?? ''
}

function optionAt(resolved: Resolved, name: OptionName, index = 1): ResolvedOption | undefined {
  return resolved.options.get(displayName(name, index))
}

function change(resolved: Resolved, option: ResolvedOption, value: string | number): void {
  resolved.options.set(displayName(option.name, option.index), {
    ...option,
    value,
    texts: [String(value)],
  })
}
