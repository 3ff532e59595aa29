/** Windows and gaps, as text below what pgBackRest says of a stanza, and as JSON under a name of their own. */
import { formatLocalTime, SECOND_MS } from '../../base/units.ts'
import type { JsonObject } from '../../format/json.ts'
import type { RepoWindows } from './read-windows.ts'
import type { Gap } from './windows.ts'

const CAUSES: Readonly<Record<Gap['cause'], string>> = {
  expired: 'expired, no backup needs it',
  missing: 'never archived, or lost',
  'other-timeline': 'archived on another timeline only',
}

export function windowsToText(all: readonly RepoWindows[]): string {
  return all
    .map(({ repoKey, archiveId, found }) => {
      const head = `\n    recovery (repo${repoKey}, ${archiveId})\n`
      if ('failure' in found) return `${head}        cannot be told: ${found.failure}\n`
      const lines = [
        ...(found.reachable.length === 0 ? ['no moment can be recovered to'] : []),
        ...found.reachable.map(
          ({ timeline, label, fromMs, untilMs, first, last }) =>
            `timeline ${timeline}: ${time(fromMs)}${label === undefined ? '' : ` (${label})`} to about ${time(untilMs)}, WAL ${first}/${last}`,
        ),
        ...found.gaps.map(
          ({ first, last, count, cause }) =>
            `gap: WAL ${first}/${last} (${count} segments): ${CAUSES[cause]}`,
        ),
        ...found.backups.map(({ label, last, untilMs }) =>
          last === undefined || untilMs === undefined
            ? `${label}: not usable, WAL that it needs is missing`
            : `${label}: to about ${time(untilMs)}, WAL ${last}`,
        ),
      ]
      return head + lines.map((line) => `        ${line}\n`).join('')
    })
    .join('')
}

export function windowsToJson(all: readonly RepoWindows[]): JsonObject {
  return {
    recovery: all.map(({ repoKey, archiveId, found }) => ({
      'archive-id': archiveId,
      'repo-key': repoKey,
      ...('failure' in found
        ? { failure: found.failure }
        : {
            reachable: found.reachable.map(({ timeline, label, fromMs, untilMs, first, last }) => ({
              timeline,
              label: label ?? null,
              start: seconds(fromMs),
              stop: seconds(untilMs),
              'wal-start': first,
              'wal-stop': last,
            })),
            gap: found.gaps.map(({ first, last, count, cause }) => ({
              'wal-start': first,
              'wal-stop': last,
              count,
              cause,
            })),
            backup: found.backups.map(({ label, last, untilMs }) => ({
              label,
              usable: last !== undefined,
              stop: untilMs === undefined ? null : seconds(untilMs),
              'wal-stop': last ?? null,
            })),
          }),
    })),
  }
}

function time(ms: number): string {
  return formatLocalTime(seconds(ms))
}

function seconds(ms: number): number {
  return Math.floor(ms / SECOND_MS)
}
