/** The plan of a dump-restore as people read it and as JSON. Pure. */
import { formatLocalTime, formatSize, SECOND_MS } from '../../base/units.ts'
import type { DumpSet } from './dump-set.ts'
import type { GlobalsPlan } from './globals.ts'
import type { DatabasePlan } from './plan.ts'
import type { Request } from './request.ts'
import type { TargetServer } from './target.ts'

export interface WholePlan {
  readonly set: DumpSet
  readonly request: Request
  readonly server: TargetServer
  /** Where the server is, for people. */
  readonly place: string
  readonly databases: readonly DatabasePlan[]
  /** Undefined: roles are not restored. */
  readonly globals: GlobalsPlan | undefined
}

export function planText(plan: WholePlan): string {
  const { set, server, globals } = plan
  const { manifest, place } = set
  const rows: (readonly [string, string])[] = [
    [
      'dump set',
      `${manifest.label} in repo${place.repo.key}, of PostgreSQL ${manifest.server.version}`,
    ],
    ['server', `PostgreSQL ${server.version} at ${plan.place}, as user '${server.user}'`],
    ...(globals === undefined ? [] : [['roles', rolesText(globals)] as const]),
    ...plan.databases.flatMap((database) => databaseRows(database, plan.request)),
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  const lines = rows.map(
    ([name, value]) =>
      `  ${name.padEnd(width)}  ${value.replaceAll('\n', `\n${' '.repeat(width + 4)}`)}`,
  )
  return `restore plan\n${lines.join('\n')}\n`
}

function rolesText({ newRoles, leftOut }: GlobalsPlan): string {
  const made = newRoles.size === 0 ? 'none to make' : `makes ${[...newRoles].join(', ')}`
  return [made, ...leftOut].join('\n')
}

function databaseRows(
  plan: DatabasePlan,
  request: Request,
): readonly (readonly [string, string])[] {
  const { source, name, replaces, findings } = plan
  const { snapshot, definition } = source
  const as = name === source.name ? '' : ` as '${name}'`
  const how = replaces ? ', in place of the one that has this name' : ''
  const archives = [plan.schema, ...plan.data]
  const bytes = archives.reduce((sum, { archive }) => sum + archive.contentSizeBytes, 0)
  return [
    ['database', `'${source.name}'${as}${how}`],
    ['as of', formatLocalTime(Math.floor(snapshot.timeMs / SECOND_MS))],
    ['size', `${formatSize(source.sizeBytes)} at the source, ${formatSize(bytes)} to read`],
    [
      'locale',
      `${definition.localeProvider} ${definition.locale ?? definition.collate}, ${definition.encoding}`,
    ],
    ...(request.asked.kind === 'all'
      ? []
      : [['only', tablesText(plan.selection.tableOids.size)] as const]),
    ['jobs', `${plan.jobs.jobs}: ${plan.jobs.why}`],
    ['proof', proofText(plan, request)],
    ...findings
      .filter(({ severity }) => severity === 'warning')
      .map(({ text }) => ['warning', text] as const),
  ]
}

function tablesText(count: number): string {
  return count === 1 ? '1 table, and what it needs' : `${count} tables, and what they need`
}

function proofText({ source, selection }: DatabasePlan, { proof }: Request): string {
  if (proof === 'none') return 'none, as asked for'
  if (source.fingerprint === null) return 'not possible: the dump set has no fingerprint'
  const what = selection.extent === 'all' ? 'every table and object' : 'what is restored'
  return `${what} is compared with the fingerprint of the dump`
}

/** The same facts for programs. Times are ISO 8601 in UTC, sizes bytes. */
export function planJson(plan: WholePlan): string {
  return `${JSON.stringify(planFacts(plan))}\n`
}

export function planFacts(plan: WholePlan): object {
  const { set, server, databases, globals, request } = plan
  const { manifest, place } = set
  return {
    set: { label: manifest.label, repo: place.repo.key, version: manifest.server.version },
    server: { version: server.version, place: plan.place, user: server.user },
    roles: globals === undefined ? null : { made: [...globals.newRoles], leftOut: globals.leftOut },
    databases: databases.map(({ source, name, replaces, selection, findings, jobs }) => ({
      source: source.name,
      name,
      replaces,
      snapshot: new Date(source.snapshot.timeMs).toISOString(),
      sizeBytes: source.sizeBytes,
      jobs: jobs.jobs,
      tables: selection.extent === 'all' ? null : selection.tableOids.size,
      prove: request.proof !== 'none' && source.fingerprint !== null,
      findings,
    })),
  }
}
