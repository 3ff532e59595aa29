/**
 * The program's entry. Checks the Node version before anything modern is imported, then hands over to cli.ts.
 */
/** `file-write`, as for any other file that could not be written. */
const OUTPUT_LOST_EXIT_CODE = 64
/** `unhandled`. */
const CRASHED_EXIT_CODE = 124

async function start(): Promise<void> {
  // libuv reads this when its pool starts, at the first call that needs it: room for the fsyncs of a batch.
  process.env['UV_THREADPOOL_SIZE'] ??= process.argv.some(isOncePerSegment) ? '4' : '16'
  const { main } = await import('./cli.ts')
  const isHasty = process.argv.some(isOncePerSegment)
  // Opening standard output takes time, and most runs of hasty commands print nothing.
  const output = (): NodeJS.WriteStream => guarded(process.stdout, isHasty ? ignore : giveUpOutput)
  const exitCode = await main({
    argv: process.argv.slice(2),
    env: process.env,
    writeOut: (text) => {
      output().write(text)
    },
    writeError: (text) => {
      guarded(process.stderr, ignore).write(text)
    },
    writeBytes: async (bytes) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      output().write(bytes, (error) => {
        if (error === undefined || error === null) resolve()
        else reject(error)
      })
      await promise
    },
    input: () => process.stdin,
  })
  // What is written to pipes and files is written (on Linux), and taking the heap apart first costs milliseconds.
  // oxlint-disable-next-line unicorn/no-process-exit -- nothing is under way any more
  if (isHasty) process.exit(exitCode)
  if (exitCode !== 0) process.exitCode = exitCode
}

/** An error that nobody listens to would end the program. */
function guarded(stream: NodeJS.WriteStream, onError: () => void): NodeJS.WriteStream {
  if (stream.listenerCount('error') === 0) stream.on('error', onError)
  return stream
}

/** Whoever reads the output may have gone, or its disk is full: no reason to crash, nor to call it a success. */
function giveUpOutput(): void {
  process.exitCode ??= OUTPUT_LOST_EXIT_CODE
}

/** Lines for people, of which nothing depends: whether a segment is there or stored is told by the exit code. */
function ignore(): void {
  // Nobody is left to be told.
}

/**
 * Node's own exit code is 1, which PostgreSQL and scripts take for an answer: of archive-get, that the archive ends here,
 * and a recovery would end with it.
 */
function crash(error: unknown): void {
  try {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    process.stderr.write(`ERROR: [${CRASHED_EXIT_CODE}]: ${text}\n`)
  } finally {
    // oxlint-disable-next-line unicorn/no-process-exit -- what is still under way cannot be relied on
    process.exit(CRASHED_EXIT_CODE)
  }
}

/** Commands that PostgreSQL runs for every segment. */
function isOncePerSegment(argument: string): boolean {
  return argument === 'archive-push' || argument === 'archive-get'
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 24 || (major === 24 && minor < 21)) {
  process.stderr.write(
    `ERROR: [046]: pgsurety needs Node 24.21 or newer, this is Node ${process.versions.node}\n` +
      "HINT: run 'npm ci' in the pgsurety folder (it brings a suitable Node), or set PGSURETY_NODE to one.\n",
  )
  process.exitCode = 46
} else {
  process.on('uncaughtException', crash)
  // Not a top-level await: the bundle is CommonJS, which starts in half the time.
  void start()
}
