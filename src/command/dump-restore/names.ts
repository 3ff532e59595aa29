/** Names of databases that a restore works under, and what it notes on them. Pure. */

/** PostgreSQL cuts longer names off, silently. */
export const NAME_BYTES_MAX = 63
const ID_CHARS = 8

/** `orders.pgsurety-1a2b3c4d`: nobody takes it for the database itself. */
export function workingName(name: string, execId: string): string {
  const suffix = `.pgsurety-${execId.slice(-ID_CHARS)}`
  return `${cutToBytes(name, NAME_BYTES_MAX - suffix.length)}${suffix}`
}

/** Where a database that is replaced stays until it is dropped. */
export function replacedName(name: string, execId: string): string {
  const suffix = `.pgsurety-old-${execId.slice(-ID_CHARS)}`
  return `${cutToBytes(name, NAME_BYTES_MAX - suffix.length)}${suffix}`
}

function cutToBytes(name: string, bytesMax: number): string {
  const bytes = Buffer.from(name).subarray(0, bytesMax)
  // What is cut within a character becomes a sign of its own, at the end.
  return bytes.toString('utf8').replace(/\uFFFD+$/, '')
}

/** On a database at work: the next restore of the same name removes it when its own one was killed. */
export function unfinishedNote(name: string, label: string): string {
  return `${unfinishedPrefix(name)}from dump set ${label}; removed by the next restore`
}

/** What a killed restore of `name` has left: noted on it, or made and not yet opened for the first time. */
export function isLeftOver(
  name: string,
  found: { readonly name: string; readonly comment: string; readonly isOpen: boolean },
): boolean {
  const isNoted =
    found.comment.startsWith(unfinishedPrefix(name)) &&
    found.comment.endsWith('removed by the next restore')
  const isNew = !found.isOpen && found.comment === ''
  return isNoted || (isNew && found.name === workingName(name, found.name))
}

function unfinishedPrefix(name: string): string {
  return `pgsurety: unfinished restore of '${name}' `
}

/** On a database that is not what was dumped: kept to be looked at. */
export function keptNote(name: string, label: string, why: string): string {
  return `pgsurety: restore of '${name}' from dump set ${label} ${why}; nobody uses or removes it by itself`
}
