/** The ratios as a picture: a bar for each work, a mark where its goal is. Pure. */
import { ratiosOf, type Row, verdictOf } from './result.ts'

const WIDTH = 920
const LABEL_WIDTH = 430
const BAR_HEIGHT = 16
const ROW_HEIGHT = 26
const TOP = 58
/** Bars end here; the figure beside them says what they mean. */
const RATIO_MAX = 1.5
const COLORS = { met: '#2b8a3e', missed: '#c92a2a', unknown: '#868e96' } as const

export function renderChart(rows: readonly Row[]): string {
  const known = rows.flatMap((row) => {
    const { wall } = ratiosOf(row)
    return wall === undefined ? [] : [{ row, wall }]
  })
  const height = TOP + known.length * ROW_HEIGHT + 16
  const bars = known.map(({ row, wall }, index) => bar(row, wall, TOP + index * ROW_HEIGHT))
  const one = place(1)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13">
<rect width="${WIDTH}" height="${height}" fill="#fff"/>
<text x="12" y="22" font-size="16">Wall time of pgsurety, the peer's being 1 (less is better)</text>
<text x="12" y="42" fill="#868e96">medians; the mark is the goal</text>
<line x1="${one}" y1="${TOP - 8}" x2="${one}" y2="${height - 8}" stroke="#adb5bd" stroke-dasharray="3 3"/>
<text x="${one}" y="${TOP - 12}" text-anchor="middle" fill="#868e96">1</text>
${bars.join('\n')}
</svg>
`
}

function bar(row: Row, wall: number, y: number): string {
  const end = place(Math.min(wall, RATIO_MAX))
  const goal = place(Math.min(row.goals.wall, RATIO_MAX))
  const middle = y + BAR_HEIGHT - 3
  return [
    `<text x="${LABEL_WIDTH - 8}" y="${middle}" text-anchor="end">${escaped(`${row.what}, ${row.settings}`)}</text>`,
    `<rect x="${LABEL_WIDTH}" y="${y}" width="${end - LABEL_WIDTH}" height="${BAR_HEIGHT}" fill="${COLORS[verdictOf(row)]}"/>`,
    `<line x1="${goal}" y1="${y - 3}" x2="${goal}" y2="${y + BAR_HEIGHT + 3}" stroke="#212529" stroke-width="2"/>`,
    `<text x="${Math.max(end, goal) + 6}" y="${middle}">${wall.toFixed(2)}</text>`,
  ].join('\n')
}

function place(ratio: number): number {
  return Math.round(LABEL_WIDTH + (ratio / RATIO_MAX) * (WIDTH - LABEL_WIDTH - 50))
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
