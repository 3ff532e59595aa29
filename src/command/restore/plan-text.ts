/** The restore plan as people read it and as JSON. Pure. */
import { toHumanText } from '../../base/text.ts'
import { formatSize } from '../../base/units.ts'
import { formatTargetTime } from '../../postgres/recovery-target.ts'
import { formatLsn } from '../../format/wal.ts'
import { diskPathOf, targetPath } from './mapping.ts'
import type { RestorePlan } from './plan.ts'

/** What was done, beside what had to be. */
export interface Placed {
  /** Files that were already right. */
  readonly keptFiles: number
  readonly writtenBytes: number
}

/** How many removals are listed by name. */
const REMOVALS_SHOWN = 10

export function planText(plan: RestorePlan): string {
  const rows: [string, string][] = [
    ['stanza', plan.stanza],
    ['backup', `${plan.manifest.label} in repo${plan.repoKey}: ${plan.why}`],
    [
      'complete at',
      `${instantText(BigInt(plan.manifest.stopS) * 1_000_000n)}, LSN ${plan.manifest.lsnStop ?? '-'}`,
    ],
    ['target', targetText(plan)],
    ['at the target', actionText(plan)],
    ...walRows(plan),
    ['size', `${formatSize(plan.totalBytes)} in ${plan.manifest.files.length} files`],
    ...(plan.leftOut.size === 0 ? [] : [leftOutRow(plan)]),
    ['mode', modeText(plan)],
    ...plan.manifest.targets.map((target): [string, string] => [
      target.name === 'pg_data' ? 'data directory' : target.name,
      toHumanText(
        target.name === 'pg_data'
          ? diskPathOf(plan.manifest, 'pg_data')
          : targetPath(plan.manifest, target),
      ),
    ]),
    ['removes', removalText(plan)],
    ...serverRows(plan),
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  const lines = rows.map(
    ([name, value]) =>
      `  ${name.padEnd(width)}  ${value.replaceAll('\n', `\n${' '.repeat(width + 4)}`)}`,
  )
  return `restore plan\n${lines.join('\n')}\n`
}

function leftOutRow({ leftOut, manifest }: RestorePlan): [string, string] {
  const names = new Map(manifest.databases.map(({ oid, name }) => [oid, toHumanText(name)]))
  const shown = [...leftOut].map((oid) => names.get(oid) ?? String(oid))
  return ['leaves out', `${shown.join(', ')}: to be dropped once recovery has ended`]
}

/** `2026-05-02 12:29:59+00 (2026-05-02 14:29:59+02)`: UTC, and local time with its offset. */
function instantText(us: bigint): string {
  const { utc, local } = formatTargetTime(us)
  return utc === local ? utc : `${utc} (${local} here)`
}

function targetText({ request }: RestorePlan): string {
  const { type, target, exclusive } = request
  const bound = exclusive ? ', stopping before it' : ''
  const from = request.typeFrom === 'inferred from --target' ? ' (type inferred from --target)' : ''
  if (target === undefined) return typeText(type)
  switch (target.kind) {
    case 'time':
      return `time ${instantText(target.atUs)}${bound}${from}`
    case 'lsn':
      return `LSN ${formatLsn(target.lsn)}${bound}${from}`
    case 'xid':
      return `transaction ${target.xid}${bound}`
    case 'name':
      return `restore point '${target.name}'`
  }
}

function typeText(type: RestorePlan['request']['type']): string {
  switch (type) {
    case 'default':
      return 'the end of the archived WAL'
    case 'immediate':
      return 'as soon as the backup is consistent'
    case 'standby':
      return 'a standby: follows and does not promote'
    case 'preserve':
      return 'as the recovery settings in the data directory say'
    case 'none':
      return 'none: starts without recovery from the archive'
    case 'time':
    case 'lsn':
    case 'xid':
    case 'name':
      return type
  }
}

function actionText({ request }: RestorePlan): string {
  if (request.type === 'default') return 'promotes itself to a new timeline at the end'
  if (request.target === undefined && request.type !== 'immediate') return '-'
  switch (request.action) {
    case 'pause':
      return 'pauses; look around, then SELECT pg_wal_replay_resume() to go on'
    case 'promote':
      return 'promotes to a new timeline'
    case 'shutdown':
      return 'shuts down'
  }
}

function walRows({ wal }: RestorePlan): [string, string][] {
  if (wal === undefined) return [['WAL', 'none needed: the backup was taken offline']]
  const rows: [string, string][] = [
    [
      'WAL needed',
      `${wal.first} to ${wal.consistent} to be consistent${wal.usable === 'yes' ? ', present' : ''}`,
    ],
  ]
  if (wal.reach !== undefined)
    rows.push(['WAL present', `to ${wal.reach} without a gap (${wal.count} segments)`])
  if (wal.usable === 'no' || wal.hole === 'yes')
    rows.push(['WAL missing', `${wal.missing} is the first that is missing`])
  if (wal.target === 'beyond') rows.push(['warning', 'the target is beyond the archived WAL'])
  return rows
}

function serverRows({ serverPid, manifest }: RestorePlan): [string, string][] {
  if (serverPid === undefined) return []
  const dataDir = toHumanText(diskPathOf(manifest, 'pg_data'))
  return [['first', `stop the server (pid ${serverPid}): pg_ctl -D ${dataDir} stop`]]
}

function modeText({ mode }: RestorePlan): string {
  switch (mode) {
    case 'fresh':
      return 'into empty directories'
    case 'delta':
      return 'delta: files that are already right are kept'
    case 'delta-by-time':
      return 'delta, force: files of the right size and time are kept unread'
    case 'resume':
      return 'finishes an interrupted restore: files that are already right are kept'
    case 'replace':
      return 'force: every file is written again'
  }
}

function removalText({ removals }: RestorePlan): string {
  if (removals.length === 0) return 'nothing'
  const shown = removals
    .slice(0, REMOVALS_SHOWN)
    .map(({ path, kind }) => `${toHumanText(path)}${kind === 'directory' ? '/' : ''}`)
  const more = removals.length - shown.length
  return [
    `${removals.length} files and directories that are not in the backup:`,
    ...shown,
    ...(more > 0 ? [`and ${more} more`] : []),
  ].join('\n')
}

/** The same facts for programs, and what was done when it is done. Times are ISO 8601 in UTC, sizes bytes. */
export function planJson(plan: RestorePlan, placed?: Placed): string {
  const { manifest, request, wal } = plan
  const target = request.target
  return `${JSON.stringify({
    stanza: plan.stanza,
    backup: {
      label: manifest.label,
      repo: plan.repoKey,
      why: plan.why,
      stop: new Date(manifest.stopS * 1000).toISOString(),
      lsnStop: manifest.lsnStop ?? null,
    },
    target: {
      type: request.type,
      value: target === undefined ? null : targetValue(target),
      exclusive: request.exclusive,
      action: request.action,
      timeline: request.timeline ?? null,
    },
    wal: wal === undefined ? null : { ...wal, reach: wal.reach ?? null },
    sizeBytes: plan.totalBytes,
    files: manifest.files.length,
    ...(placed === undefined ? {} : { restored: placed }),
    databasesLeftOut: [...plan.leftOut],
    mode: plan.mode,
    serverPid: plan.serverPid ?? null,
    paths: manifest.targets.map((entry) => ({
      name: toHumanText(entry.name),
      path: toHumanText(targetPath(manifest, entry)),
    })),
    removals: plan.removals.map(({ path }) => toHumanText(path)),
  })}\n`
}

function targetValue(target: NonNullable<RestorePlan['request']['target']>): string {
  switch (target.kind) {
    case 'time':
      return formatTargetTime(target.atUs).utc
    case 'lsn':
      return formatLsn(target.lsn)
    case 'xid':
      return String(target.xid)
    case 'name':
      return target.name
  }
}
