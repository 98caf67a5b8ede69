/**
 * CliCommand: commander's Command, with what all our commands share: examples in the help, and groups of options. The
 * reference (reference.ts) is made from the same definitions.
 * @module
 */
import { Command, CommanderError, type ErrorOptions } from 'commander'

/** Where this command line is installed: the folder of the checkout, or of the package. */
export interface Installation {
  readonly root: string
}

export interface CommonOptions {
  readonly verbose?: true
  readonly json?: true
}

export interface ServerOptions extends CommonOptions {
  readonly url?: string
  readonly token?: string
  readonly tokenFile?: string
  readonly home?: string
}

/** A command line that cannot be understood, with the command that was to understand it. */
export class UsageError extends CommanderError {
  readonly command: CliCommand

  constructor(
    command: CliCommand,
    message: string,
    { exitCode = 1, code = 'commander.error' }: ErrorOptions,
  ) {
    super(exitCode, code, message)
    this.command = command
  }
}

export class CliCommand extends Command {
  readonly examples: string[] = []
  /** By the name of an argument: what to write if it is meant to be empty. */
  readonly #whereEmpty = new Map<string, string>()

  constructor(name?: string) {
    super(name)
    this.helpCommand(false)
  }

  override createCommand(name?: string): CliCommand {
    return new CliCommand(name)
  }

  /** The words of the command, starting with `concord`. */
  get path(): string {
    return this.parent instanceof CliCommand ? `${this.parent.path} ${this.name()}` : this.name()
  }

  /** Throws instead of writing: the caller adds suggestions to the message (suggestions.ts). */
  override error(message: string, options: ErrorOptions = {}): never {
    throw new UsageError(this, message, options)
  }

  /** Refuses empty names, files and folders: they come from shell variables that are not set. */
  refuseEmpty(): void {
    for (const [index, { variadic }] of this.registeredArguments.entries()) {
      const given = variadic ? this.args.slice(index) : [this.args[index]]
      const name = this.registeredArguments[index]!.name()
      if (given.includes('')) this.#refuseEmpty(`argument '${name}'`, this.#whereEmpty.get(name))
    }
    for (const option of this.options) {
      const isPlace = /<(folder|file|path|name|id)>/.test(option.flags)
      if (isPlace && this.getOptionValue(option.attributeName()) === '')
        this.#refuseEmpty(`option '${option.flags}'`)
    }
  }

  #refuseEmpty(what: string, meant?: string): never {
    const advice = meant === undefined ? '' : ` If it is meant, say ${meant}`
    this.error(`error: ${what} is empty: is a variable of the shell not set?${advice}`)
  }

  /** @param say What to write in place of an argument that is meant to be empty. */
  whereEmpty(argument: string, say: string): this {
    this.#whereEmpty.set(argument, say)
    return this
  }

  /** Shown at the end of the help, and in the reference. */
  example(...lines: readonly string[]): this {
    this.examples.push(...lines)
    return this
  }

  override helpInformation(): string {
    const examples = this.examples.map((line) => `  $ ${line}`).join('\n')
    return super.helpInformation() + (examples === '' ? '' : `\nExamples:\n${examples}\n`)
  }

  /** Options of every command. */
  common(): this {
    return this.option('--verbose', 'on failure, show the stack and all details')
  }

  /** Options of a command that prints data. */
  printsData(what = 'one JSON value as the last line'): this {
    return this.option('--json', `print ${what}`).common()
  }

  /** Options of a command that talks to a gateway. */
  talksToServer(): this {
    return this.optionsGroup('Server options:')
      .option(
        '--url <url>',
        'the gateway, or several separated by commas (default: CONCORD_URL, else what `concord up` wrote)',
      )
      .option('--token-file <file>', 'a file that contains the bearer token')
      .option('--token <token>', 'the bearer token (default: CONCORD_TOKEN)')
      .option('--home <folder>', 'state folder of the platform (default: CONCORD_HOME, else ~/.concord)')
  }
}
