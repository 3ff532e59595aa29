/** Which entries of an archive are restored, and in which run of pg_restore. Pure. */
import type { TocEntry } from '../../format/archive-toc.ts'

export interface TableName {
  readonly schema: string
  readonly name: string
}

export type Asked =
  | { readonly kind: 'all' }
  | {
      readonly kind: 'some'
      readonly schemas: readonly string[]
      readonly tables: readonly TableName[]
    }

export interface Selection {
  readonly extent: 'all' | 'some'
  /** Dump ids in the archive that holds the schema. */
  readonly ids: ReadonlySet<number>
  /** Tables whose rows are restored, as data archives know them. */
  readonly tableOids: ReadonlySet<number>
  /** Sequences whose state is restored. */
  readonly sequences: ReadonlySet<string>
  /** What belongs to what was asked for and yet cannot come along, and what it would need. */
  readonly leftOut: readonly LeftOut[]
  /** What was asked for and is not there. */
  readonly unknown: readonly string[]
}

export interface LeftOut {
  readonly entry: TocEntry
  readonly needs: TocEntry
  /** By its own name, and not with its schema or as part of something. */
  readonly askedFor: 'by-name' | 'with-others'
}

/** Have rows of their own, so nobody gets them without asking. */
const RELATIONS: ReadonlySet<string> = new Set([
  'TABLE',
  'FOREIGN TABLE',
  'VIEW',
  'MATERIALIZED VIEW',
])

/** Belong to what they depend on. */
const BELONGING: ReadonlySet<string> = new Set([
  'ACL',
  'COMMENT',
  'INDEX',
  'INDEX ATTACH',
  'MATERIALIZED VIEW DATA',
  'PUBLICATION TABLE',
  'ROW SECURITY',
  'SECURITY LABEL',
  'SEQUENCE',
  'SEQUENCE OWNED BY',
  'SEQUENCE SET',
  'STATISTICS',
  'STATISTICS DATA',
  'TABLE ATTACH',
  'TABLE DATA',
])

/** Belong to the table that their tag begins with, and may depend on others. */
const NAMED_BY_TABLE: ReadonlySet<string> = new Set([
  'CHECK CONSTRAINT',
  'CONSTRAINT',
  'DEFAULT',
  'FK CONSTRAINT',
  'POLICY',
  'RULE',
  'TRIGGER',
])

/** `entries` of the archive that holds the schema. */
export function selectEntries(entries: readonly TocEntry[], asked: Asked): Selection {
  if (asked.kind === 'all') return describe(entries, { extent: 'all', leftOut: [], unknown: [] })
  const graph = graphOf(entries)
  const { roots, unknown } = rootsOf(entries, asked)
  const wanted = withBelongings(graph, roots)
  const needed = withNeeds(graph, wanted)
  const { kept, lost } = withoutLoose(graph, needed)
  const named = new Set(asked.tables.map(tableKey))
  const leftOut = lost
    .filter(({ entry }) => wanted.has(entry.dumpId))
    .map(({ entry, needs }): LeftOut => {
      const isNamed = RELATIONS.has(entry.kind) && named.has(nameKey(entry))
      return { entry, needs, askedFor: isNamed ? 'by-name' : 'with-others' }
    })
  return describe(
    entries.filter(({ dumpId }) => kept.has(dumpId)),
    { extent: 'some', leftOut, unknown },
  )
}

function describe(
  entries: readonly TocEntry[],
  rest: Pick<Selection, 'extent' | 'leftOut' | 'unknown'>,
): Selection {
  return {
    ids: new Set(entries.map(({ dumpId }) => dumpId)),
    tableOids: new Set(
      entries
        .filter(({ kind }) => kind === 'TABLE' || kind === 'MATERIALIZED VIEW')
        .map(({ oid }) => oid),
    ),
    sequences: new Set(entries.filter(({ kind }) => kind === 'SEQUENCE').map(nameKey)),
    ...rest,
  }
}

interface Graph {
  readonly byId: ReadonlyMap<number, TocEntry>
  readonly dependents: ReadonlyMap<number, readonly TocEntry[]>
  /** Partition → the table it is attached to. */
  readonly parents: ReadonlyMap<number, number>
}

function graphOf(entries: readonly TocEntry[]): Graph {
  const dependents = new Map<number, TocEntry[]>()
  for (const entry of entries) {
    for (const id of new Set(entry.dependencies)) {
      const list = dependents.get(id)
      if (list === undefined) dependents.set(id, [entry])
      else list.push(entry)
    }
  }
  const byId = new Map(entries.map((entry) => [entry.dumpId, entry]))
  return { byId, dependents, parents: parentsIn(entries, byId) }
}

function parentsIn(
  entries: readonly TocEntry[],
  byId: ReadonlyMap<number, TocEntry>,
): ReadonlyMap<number, number> {
  const parents = new Map<number, number>()
  for (const attach of entries) {
    if (attach.kind !== 'TABLE ATTACH') continue
    const own = attach.dependencies.find((id) => {
      const entry = byId.get(id)
      return entry?.schema === attach.schema && entry?.tag === attach.tag
    })
    const parent = attach.dependencies.find((id) => id !== own)
    if (own !== undefined && parent !== undefined) parents.set(own, parent)
  }
  return parents
}

function rootsOf(
  entries: readonly TocEntry[],
  { schemas, tables }: Extract<Asked, { kind: 'some' }>,
): { readonly roots: readonly TocEntry[]; readonly unknown: readonly string[] } {
  const ofSchemas = new Set(schemas)
  const ofTables = new Set(tables.map(tableKey))
  const roots = entries.filter(
    (entry) =>
      (entry.schema !== undefined && ofSchemas.has(entry.schema)) ||
      (entry.kind === 'SCHEMA' && ofSchemas.has(entry.tag)) ||
      (entry.schema !== undefined &&
        RELATIONS.has(entry.kind) &&
        ofTables.has(tableKey({ schema: entry.schema, name: entry.tag }))),
  )
  const found = new Set(
    roots.flatMap(({ schema = '', tag }) => [`s ${schema}`, tableKey({ schema, name: tag })]),
  )
  const foundSchemas = new Set(
    roots.map(({ kind, schema, tag }) => (kind === 'SCHEMA' ? tag : schema)),
  )
  return {
    roots,
    unknown: [
      ...schemas.filter((name) => !foundSchemas.has(name)).map((name) => `schema '${name}'`),
      ...tables
        .filter((table) => !found.has(tableKey(table)))
        .map(({ schema, name }) => `table '${schema}.${name}'`),
    ],
  }
}

/** No name holds a zero byte. */
function tableKey({ schema, name }: TableName): string {
  return `${schema}\0${name}`
}

/** Data archives number their entries themselves and know sequences by name only. */
function nameKey({ schema = '', tag }: Pick<TocEntry, 'schema' | 'tag'>): string {
  return tableKey({ schema, name: tag })
}

function withBelongings(graph: Graph, roots: readonly TocEntry[]): Set<number> {
  const wanted = new Set(roots.map(({ dumpId }) => dumpId))
  const queue = [...roots]
  for (let owner = queue.pop(); owner !== undefined; owner = queue.pop()) {
    for (const entry of graph.dependents.get(owner.dumpId) ?? []) {
      if (wanted.has(entry.dumpId) || !belongsTo(graph, entry, owner)) continue
      wanted.add(entry.dumpId)
      queue.push(entry)
    }
  }
  return wanted
}

function belongsTo({ parents }: Graph, entry: TocEntry, owner: TocEntry): boolean {
  if (parents.get(entry.dumpId) === owner.dumpId) return true
  if (NAMED_BY_TABLE.has(entry.kind)) {
    return entry.schema === owner.schema && entry.tag.startsWith(`${owner.tag} `)
  }
  // A schema's own notes and grants come with it, its content only when that was asked for.
  if (owner.kind === 'SCHEMA') return ['ACL', 'COMMENT', 'SECURITY LABEL'].includes(entry.kind)
  return BELONGING.has(entry.kind)
}

/** Schemas, types, functions, extensions and so on come along; relations do not. */
function withNeeds(graph: Graph, wanted: ReadonlySet<number>): Set<number> {
  const needed = new Set(wanted)
  const queue = [...wanted]
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    for (const need of graph.byId.get(id)?.dependencies ?? []) {
      const entry = graph.byId.get(need)
      if (entry === undefined || needed.has(need) || RELATIONS.has(entry.kind)) continue
      // An index of a table that stays away, which only a foreign key to that table needs.
      if (entry.section === 'post-data') continue
      for (const own of withBelongings(graph, [entry])) {
        if (needed.has(own)) continue
        needed.add(own)
        queue.push(own)
      }
    }
  }
  return needed
}

/** Without what needs something that does not come, and what needs that in turn. */
function withoutLoose(
  { byId, dependents, parents }: Graph,
  needed: ReadonlySet<number>,
): {
  readonly kept: ReadonlySet<number>
  readonly lost: readonly Pick<LeftOut, 'entry' | 'needs'>[]
} {
  const kept = new Set(needed)
  const lost: Pick<LeftOut, 'entry' | 'needs'>[] = []
  // Tables before what belongs to them: they are the better reason.
  const queue = [...byId.values()].filter(({ dumpId }) => !needed.has(dumpId)).toReversed()
  for (let needs = queue.pop(); needs !== undefined; needs = queue.pop()) {
    for (const entry of dependents.get(needs.dumpId) ?? []) {
      // A partition is a table of its own until it is attached, which is an entry of its own.
      if (parents.get(entry.dumpId) === needs.dumpId || !kept.delete(entry.dumpId)) continue
      lost.push({ entry, needs })
      queue.push(entry)
    }
  }
  return { kept, lost }
}

/** What one archive is restored with, as dump ids in the order of the archive. */
export interface RunLists {
  /** Schema without what comes at the end. */
  readonly schema: readonly number[]
  readonly data: readonly number[]
  /** Indexes, constraints, triggers, and grants: nobody, the owner included, is kept out before the rows are in. */
  readonly finish: readonly number[]
  /** Event triggers: by themselves, for with several jobs nothing else has an order. */
  readonly last: readonly number[]
}

const AT_THE_END: ReadonlySet<string> = new Set(['ACL', 'ACL LANGUAGE', 'DEFAULT ACL'])

/** With what is noted on them. pg_dump has them before materialized views are filled: they would see that, or forbid it. */
function isOfEventTrigger({ kind, tag }: TocEntry): boolean {
  return kind === 'EVENT TRIGGER' || (NOTES.has(kind) && tag.startsWith('EVENT TRIGGER '))
}

const NOTES: ReadonlySet<string> = new Set(['COMMENT', 'SECURITY LABEL'])

/** Of the archive that the selection was made from. Event triggers come last of all. */
export function runLists(entries: readonly TocEntry[], { ids }: Pick<Selection, 'ids'>): RunLists {
  const schema: number[] = []
  const data: number[] = []
  const finish: number[] = []
  const last: number[] = []
  let section: TocEntry['section'] = 'pre-data'
  for (const entry of entries) {
    const { kind, dumpId, section: own } = entry
    // Notes on an object have no section of their own and stand behind it.
    if (own !== 'none') section = own
    if (!ids.has(dumpId)) continue
    if (isOfEventTrigger(entry)) last.push(dumpId)
    else if (AT_THE_END.has(kind) || section === 'post-data') finish.push(dumpId)
    else if (section === 'data') data.push(dumpId)
    else schema.push(dumpId)
  }
  return { schema, data, finish, last }
}

/** Of an archive that holds only data, and numbers its entries itself. */
export function dataList(entries: readonly TocEntry[], selection: Selection): readonly number[] {
  return entries
    .filter((entry) => {
      if (selection.extent === 'all') return true
      if (entry.kind === 'TABLE DATA') return selection.tableOids.has(entry.oid)
      return entry.kind === 'SEQUENCE SET' && selection.sequences.has(nameKey(entry))
    })
    .map(({ dumpId }) => dumpId)
}
