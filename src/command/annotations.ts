/** The notes that backup and annotate are given. */
import { toByteString } from '../base/text.ts'
import type { Config } from '../config/config.ts'

/** Byte strings, which is what info files and manifests hold. */
export function annotationsOf(config: Config): ReadonlyMap<string, string> {
  return new Map(
    Array.from(config.map('annotation'), ([name, note]) => [
      toByteString(name),
      toByteString(note),
    ]),
  )
}
