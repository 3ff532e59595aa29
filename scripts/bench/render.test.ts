import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderChart } from './chart.ts'
import { renderText } from './render.ts'
import type { Row, Sample } from './result.ts'

const MIB = 1024 * 1024

function sample(seconds: number, cpuSeconds?: number): Sample {
  return { seconds, cpuSeconds, peakBytes: 100 * MIB, writtenBytes: 7 * MIB }
}

const ROWS: readonly Row[] = [
  {
    name: 'push',
    what: 'archive-push <async>',
    settings: 'alike',
    goals: { wall: 0.67, cpu: 1 },
    scale: 0.5,
    count: 10,
    samples: { pgsurety: [sample(0.5, 1)], pgbackrest: [sample(1, 1.25)] },
  },
  {
    name: 'full',
    what: 'full backup',
    settings: 'defaults',
    goals: { wall: 0.2 },
    scale: 1,
    count: 1,
    samples: { pgsurety: [sample(3)], pgbackrest: [sample(10)] },
  },
]

test('the tables give ratios with their goals, and what one of many takes', () => {
  const text = renderText({ conditions: ['two cores'], rows: ROWS, growth: [] })
  const lines = text.split('\n').map((line) => line.replace(/ +/g, ' ').trim())

  assert.equal(lines[0], '- two cores')
  assert.ok(
    lines.includes(
      '| archive-push <async> | alike | 0.50 | <= 0.67 | 0.80 | <= 1 | | | 0.5 | 1 | met |',
    ),
  )
  assert.ok(lines.includes('| full backup | defaults | 0.30 | <= 0.2 | - | | | | 1 | 1 | missed |'))
  assert.ok(
    lines.includes(
      '| archive-push <async> | alike | pgsurety | 50.0 ms | 50.0 ms | 50.0 ms | 100.0 ms | 100 | 7 |',
    ),
  )
})

test('growth is shown point by point, with what each costs and the bend at the end', () => {
  const points = [1, 4, 16].map((count) => ({ count, sample: sample(count * 2, count) }))
  const text = renderText({
    conditions: [],
    rows: [],
    growth: [{ name: 'files', what: 'backup of files', points }],
  })
  const lines = text.replace(/ +/g, ' ')

  assert.ok(lines.includes('| backup of files | 1 | 2.00 s | 1.00 s | 2.00 s | 100 | |'))
  assert.ok(lines.includes('| | 16 | 32.00 s | 16.00 s | 2.00 s | 100 | 1.00 |'))
})

test('the chart has a bar for each ratio, and its labels are escaped', () => {
  const svg = renderChart(ROWS)

  assert.equal(svg.match(/<rect /g)?.length, 3)
  assert.ok(svg.includes('archive-push &lt;async&gt;, alike'))
  assert.ok(svg.includes('>0.50<') && svg.includes('>0.30<'))
})
