/** The records of restores that lie beside a dump set; the set itself stays as it was written. */
import { SECOND_MS } from '../base/units.ts'
import { type DumpProof, readDumpProof } from '../format/dump-proof.ts'
import { reading } from '../format/info-file.ts'
import { formatLabelTime } from '../format/label.ts'
import { DUMP_PROOF_PREFIX, dumpPrefix, dumpProofKey } from '../format/repo-path.ts'
import { type DumpPlace, readSealed, writeSealed } from './dump-sets.ts'

/** Oldest first. */
export async function loadDumpProofs(
  place: DumpPlace,
  label: string,
): Promise<readonly DumpProof[]> {
  const prefix = dumpPrefix(place.stanza, label)
  const proofs: DumpProof[] = []
  for (const { kind, name } of await place.storage.names(prefix)) {
    if (kind !== 'object' || !name.startsWith(DUMP_PROOF_PREFIX)) continue
    const value = await readSealed(place, `${prefix}/${name}`, 'proof')
    proofs.push(reading(`proof '${name}'`, () => readDumpProof(value)))
  }
  return proofs.toSorted((left, right) => left.atMs - right.atMs)
}

/** Named by its time, to the millisecond, and by `databaseOid`: names may be secrets. */
export async function saveDumpProof(
  place: DumpPlace,
  proof: DumpProof,
  databaseOid: number,
): Promise<void> {
  const millis = String(Math.floor(proof.atMs) % SECOND_MS).padStart(3, '0')
  const name = `${formatLabelTime(proof.atMs)}.${millis}-${databaseOid}`
  await writeSealed(place, dumpProofKey(place.stanza, proof.label, name), {
    name: 'proof',
    value: proof,
  })
}
