/**
 * pgsurety beside pgBackRest, pg_basebackup and pg_dump: the same work on the same machine, run in turn. Prints medians and ratios.
 *
 *   npm run bench                            a quarter of the size, three runs each: about ten minutes
 *   npm run bench -- --scale=1 --runs=5      what the goals are for: above an hour, 15 GB of disk
 *   npm run bench -- --only=restore-small    one work; may be given several times
 *
 *   --results=FILE   keeps what was measured, as JSON; works that are not run now stay as they are in it
 *   --chart=FILE     draws the ratios, as SVG
 *   --output=json    prints JSON: conditions, rows with all samples, growth
 *   --list           prints the names of the works
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { checkout } from '../test/harness/run.ts'
import { renderChart } from './bench/chart.ts'
import { GROWTHS } from './bench/growth.ts'
import { conditionsOf } from './bench/machine.ts'
import { renderText, type Report } from './bench/render.ts'
import { type Growth, merged, type Row, type Sample, type ToolName } from './bench/result.ts'
import { type Bed, openScene, type Scene } from './bench/scene.ts'
import { type Work, WORKLOADS } from './bench/workloads.ts'

const { values } = parseArgs({
  options: {
    scale: { type: 'string', default: '0.25' },
    runs: { type: 'string', default: '3' },
    only: { type: 'string', multiple: true, default: [] },
    output: { type: 'string', default: 'text' },
    results: { type: 'string' },
    chart: { type: 'string' },
    list: { type: 'boolean', default: false },
  },
})
const works = WORKLOADS.flatMap(({ works: some }) => some)
const names = [...works.map(({ name }) => name), ...GROWTHS.map(({ name }) => name)]
const unknown = values.only.filter((name) => !names.includes(name))
if (unknown.length > 0) throw new Error(`no work '${unknown.join("', '")}': try --list`)
const isWanted = (name: string): boolean => values.only.length === 0 || values.only.includes(name)

/** In turn, every other time in the other order, so that whatever else the machine does hits all of them. */
async function measureWork(bed: Bed, work: Work): Promise<Row> {
  const { name, what, settings, goals, peer, task, runsMax } = work
  const { count, contestants } = await bed.contest(task)
  const samples: Partial<Record<ToolName, Sample[]>> = {}
  const runs = Math.min(Number(values.runs), runsMax ?? Infinity)
  for (let run = 0; run < runs; run += 1) {
    for (const { tool, run: once } of run % 2 === 0 ? contestants : contestants.toReversed()) {
      const sample = await once()
      samples[tool] = [...(samples[tool] ?? []), sample]
      console.error(`  ${name} ${tool}: ${sample.seconds.toFixed(3)} s`)
    }
  }
  const scale = Number(values.scale)
  return {
    name,
    what,
    settings,
    goals,
    scale,
    count,
    samples,
    ...(peer === undefined ? {} : { peer }),
  }
}

/** `save` is called after each, so that a run that is cut off has not been for nothing. */
async function measureRows(
  scene: Scene,
  save: (rows: readonly Row[]) => void,
): Promise<readonly Row[]> {
  const rows: Row[] = []
  for (const workload of WORKLOADS) {
    const wanted = workload.works.filter(({ name }) => isWanted(name))
    const [first] = wanted
    if (first === undefined) continue
    console.error(`preparing ${first.name} ...`)
    await using bed = await workload.open(scene)
    for (const work of wanted) {
      rows.push(await measureWork(bed, work))
      save(rows)
    }
  }
  return rows
}

async function measureGrowth(scene: Scene): Promise<readonly Growth[]> {
  const found: Growth[] = []
  for (const { name, measure } of GROWTHS) {
    if (!isWanted(name)) continue
    console.error(`${name} ...`)
    found.push(...(await measure(scene)))
  }
  return found
}

/** Only what this program wrote itself. */
function earlier(): Partial<Report> {
  if (values.results === undefined || !existsSync(values.results)) return {}
  const read: Partial<Report> = JSON.parse(readFileSync(values.results, 'utf8'))
  return read
}

async function bench(): Promise<Report> {
  execFileSync(process.execPath, ['scripts/build.ts'], { cwd: checkout, stdio: 'ignore' })
  await using scene = await openScene(Number(values.scale))
  const conditions = await conditionsOf(scene)
  console.error(conditions.join('\n'))
  const before = earlier()
  const reportOf = (rows: readonly Row[], growth: readonly Growth[]): Report => {
    const growthNames = [...(before.growth ?? []), ...growth].map(({ name }) => name)
    const workNames = works.map(({ name }) => name)
    return {
      conditions,
      rows: merged(before.rows ?? [], rows, workNames),
      growth: merged(before.growth ?? [], growth, [...new Set(growthNames)]),
    }
  }
  const rows = await measureRows(scene, (some) => {
    keep(reportOf(some, []))
  })
  const report = reportOf(rows, await measureGrowth(scene))
  keep(report)
  return report
}

const jsonOf = (report: Report): string => `${JSON.stringify(report, undefined, 2)}\n`

function keep(report: Report): void {
  if (values.results !== undefined) writeFileSync(values.results, jsonOf(report))
  if (values.chart !== undefined) writeFileSync(values.chart, renderChart(report.rows))
}

if (values.list) {
  console.log(names.join('\n'))
} else {
  const report = await bench()
  process.stdout.write(values.output === 'json' ? jsonOf(report) : renderText(report))
}
