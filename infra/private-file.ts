/**
 * PrivateFile: writes a file that only its owner may read, at once or not at all.
 * @module
 */
import { rename, writeFile } from 'node:fs/promises'

/** Writes a file of mode 0600, atomically, also if the power goes. */
export async function writePrivate(file: string, text: string): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`
  await writeFile(temporary, `${text}\n`, { mode: 0o600, flush: true })
  await rename(temporary, file)
}
