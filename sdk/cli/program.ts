/**
 * Program: the tree of all commands. Each is defined in a file of commands/, which loads heavy packages (esbuild,
 * zod) only when it runs, so that `--help` is quick.
 * @module
 */
import { CliCommand, type Installation } from './command.ts'
import { addAssets } from './commands/asset.ts'
import { addCluster } from './commands/cluster.ts'
import { addConfig } from './commands/config.ts'
import { addConsume } from './commands/consume.ts'
import { addDeploy } from './commands/deploy.ts'
import { addDeadLetters } from './commands/dlq.ts'
import { addDown } from './commands/down.ts'
import { addFunctions } from './commands/fn.ts'
import { addGraph } from './commands/graph.ts'
import { addHelp } from './commands/help.ts'
import { addInit } from './commands/init.ts'
import { addKill } from './commands/kill.ts'
import { addProduce } from './commands/produce.ts'
import { addStreams } from './commands/stream.ts'
import { addTest } from './commands/test.ts'
import { addUp } from './commands/up.ts'
import { addVersion, versionOf } from './commands/version.ts'

export function makeProgram(installation: Installation): CliCommand {
  const program = new CliCommand('concord')
  program
    .description('Serverless stream processing: write a function, deploy it, and it runs on a real stream.')
    .version(versionOf(installation))
    .example('concord up --detach', 'concord init shout && cd shout && npm test', 'concord fn deploy .')
    .exitOverride()
    .hook('preAction', (_program, command) => (command as CliCommand).refuseEmpty())
  program.commandsGroup('Platform:')
  addUp(program, installation)
  addDown(program, installation)
  addCluster(program, installation)
  addConfig(program, installation)
  program.commandsGroup('Functions:')
  addInit(program, installation)
  addTest(program, installation)
  addFunctions(program, installation)
  addDeploy(program, installation)
  addAssets(program)
  addKill(program)
  addGraph(program)
  program.commandsGroup('Records:')
  addProduce(program)
  addConsume(program)
  addStreams(program)
  addDeadLetters(program)
  program.commandsGroup('About:')
  addVersion(program, installation)
  addHelp(program)
  return program
}
