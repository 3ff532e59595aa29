/** Notes in the repository, beside the set, that a restore was made and whether it was proved. */
import { asAppError } from '../../base/error.ts'
import type { DumpedDatabase } from '../../format/dump-manifest.ts'
import type { DumpProof } from '../../format/dump-proof.ts'
import { saveDumpProof } from '../../repo/dump-proofs.ts'
import { assertNotStopped } from '../../repo/stop-file.ts'
import { type Context, stanzaOf } from '../command.ts'
import type { DumpSet } from './dump-set.ts'
import type { Target } from './open-target.ts'

export interface ProofNote
  extends Pick<DumpProof, 'extent' | 'jobs' | 'dataMs' | 'finishMs' | 'proveMs' | 'verdict'> {
  readonly source: DumpedDatabase
}

/** A restore is not worse because nobody could take a note of it. */
export async function recordProof(
  context: Context,
  { set, target }: { readonly set: DumpSet; readonly target: Target },
  { source, ...note }: ProofNote,
): Promise<void> {
  const { config, log, clock, signal } = context
  const { place, manifest } = set
  const atMs = clock.nowMs()
  const value: DumpProof = {
    version: 1,
    label: manifest.label,
    database: source.name,
    atMs,
    serverVersion: target.client.version,
    clientVersion: target.programs.version,
    sizeBytes: source.sizeBytes,
    fingerprintSha256: source.fingerprint?.contentSha256 ?? null,
    ...note,
  }
  try {
    // It forbids to write to the repository; restoring is what it does not forbid.
    assertNotStopped(config.text('lock-path'), stanzaOf(context))
    await saveDumpProof(place, value, source.oid)
  } catch (error) {
    signal.throwIfAborted()
    log.warn(`the proof could not be noted in the repository: ${asAppError(error).text}`)
  }
}
