/**
 * Byte strings: JavaScript strings in which every character stands for one byte (latin1).
 *
 * File names in a cluster and the text of info files are bytes, not UTF-8. Kept as byte strings they compare in
 * byte order, concatenate and slice without loss; they become human text only where they are shown.
 */

/** The bytes of a byte string. */
export function toBytes(byteString: string): Buffer {
  return Buffer.from(byteString, 'latin1')
}

/** The byte string of human (UTF-8) text. ASCII is unchanged. */
export function toByteString(humanText: string): string {
  return Buffer.from(humanText, 'utf8').toString('latin1')
}

/** Human text of a byte string: UTF-8, with bytes that are not UTF-8 shown as U+FFFD. */
export function toHumanText(byteString: string): string {
  return Buffer.from(byteString, 'latin1').toString('utf8')
}

/** Byte order for byte strings; also right for ASCII labels and segment names. For `Array.sort`. */
export function compareBytes(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0
}

/** The candidate nearest to `word` by edit distance, if it is near enough to be a likely slip. */
export function nearestName(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, column) => column)
  for (let i = 1; i <= left.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= right.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1)
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, change))
    }
    row = next
  }
  return row[right.length] ?? 0
}

/** A name as one line for people: line feeds and other control characters as `\x0a`. */
export function toOneLine(text: string): string {
  return text.replaceAll(
    // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
    /[\0-\x1f\x7f]/g,
    (sign) => `\\x${sign.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}
