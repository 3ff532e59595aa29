/** Results as text: tables that are Markdown too. Pure. */
import { MIB } from '../../src/base/units.ts'
import {
  bendOf,
  type Growth,
  medianOf,
  ratiosOf,
  type Row,
  type Sample,
  TOOLS,
  verdictOf,
} from './result.ts'

export interface Report {
  /** What was measured on and with, one line each. */
  readonly conditions: readonly string[]
  readonly rows: readonly Row[]
  readonly growth: readonly Growth[]
}

export function renderText({ conditions, rows, growth }: Report): string {
  const parts = [conditions.map((line) => `- ${line}`).join('\n')]
  if (rows.length > 0) parts.push(ratioTable(rows), figureTable(rows))
  if (growth.length > 0) parts.push(growthTable(growth))
  return `${parts.join('\n\n')}\n`
}

function ratioTable(rows: readonly Row[]): string {
  const header = [
    'Work',
    'Settings',
    'Wall',
    'Goal',
    'CPU',
    'Goal',
    'Of the limit',
    'Goal',
    'Scale',
    'Runs',
    '',
  ]
  const lines = rows.map((row) => {
    const { wall, cpu, share } = ratiosOf(row)
    const { goals } = row
    return [
      row.what,
      row.settings,
      fixed(wall, 2),
      `<= ${goals.wall}`,
      fixed(cpu, 2),
      goals.cpu === undefined ? '' : `<= ${goals.cpu}`,
      row.samples.limit === undefined ? '' : fixed(share, 2),
      goals.share === undefined ? '' : `>= ${goals.share}`,
      String(row.scale),
      String(row.samples.pgsurety?.length ?? 0),
      verdictOf(row),
    ]
  })
  return table(header, lines)
}

function figureTable(rows: readonly Row[]): string {
  const header = [
    'Work',
    'Settings',
    'Program',
    'Wall',
    'from',
    'to',
    'CPU',
    'Memory MiB',
    'Written MiB',
  ]
  const lines = rows.flatMap((row) =>
    TOOLS.flatMap((tool) => {
      const samples = row.samples[tool]
      const middle = medianOf(row, tool)
      if (samples === undefined || middle === undefined) return []
      const seconds = samples.map((one) => one.seconds)
      return [
        [
          row.what,
          row.settings,
          tool,
          time(middle.seconds, row.count),
          time(Math.min(...seconds), row.count),
          time(Math.max(...seconds), row.count),
          middle.cpuSeconds === undefined ? '-' : time(middle.cpuSeconds, row.count),
          mebibytes(middle.peakBytes),
          mebibytes(middle.writtenBytes),
        ],
      ]
    }),
  )
  return table(header, lines)
}

function growthTable(growth: readonly Growth[]): string {
  const header = ['Work', 'How many', 'Wall', 'CPU', 'Each', 'Memory MiB', 'Bend']
  const lines = growth.flatMap((one) =>
    one.points.map(({ count, sample }, index) => [
      index === 0 ? one.what : '',
      String(count),
      time(sample.seconds, 1),
      cpuText(sample),
      time(sample.seconds, count),
      mebibytes(sample.peakBytes),
      index === one.points.length - 1 ? fixed(bendOf(one), 2) : '',
    ]),
  )
  return table(header, lines)
}

function cpuText({ cpuSeconds }: Sample): string {
  return cpuSeconds === undefined ? '-' : time(cpuSeconds, 1)
}

function fixed(value: number | undefined, digits: number): string {
  return value === undefined ? '-' : value.toFixed(digits)
}

function mebibytes(bytes: number): string {
  return (bytes / MIB).toFixed(0)
}

/** Of one of `count`: seconds, or milliseconds below one. */
function time(seconds: number, count: number): string {
  const each = seconds / count
  if (each >= 1) return `${each.toFixed(2)} s`
  return each >= 0.001 ? `${(each * 1000).toFixed(1)} ms` : `${(each * 1e6).toFixed(0)} µs`
}

/** Cells aligned, so that it reads well unrendered too. */
function table(header: readonly string[], lines: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(3, title.length, ...lines.map((cells) => cells[column]?.length ?? 0)),
  )
  const line = (cells: readonly string[], fill: string): string =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width, fill)).join(' | ')} |`
  const rule = line(
    header.map(() => ''),
    '-',
  )
  return [line(header, ' '), rule, ...lines.map((cells) => line(cells, ' '))].join('\n')
}
