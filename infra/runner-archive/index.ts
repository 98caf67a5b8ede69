/** The front door of runner-archive/: the self-contained runner, named by a scheduler and served by a gateway. */
export { archiveFolder, archiveName, openArchive, type RunnerArchive } from './archive.ts'
export { checkKey, signedPath, verifyPath } from './signed-path.ts'
