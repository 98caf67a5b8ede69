/**
 * Bugs: faults to plant into the simulated processes, each of which the simulation must find.
 * @module
 */
export const bugs = {
  'no-acknowledgement': 'status updates are not acknowledged',
  'no-epoch-check': 'the receivers of outputs do not look at the epoch of whoever sent them',
  'no-fence': 'who takes over the shares of a lost slot does not fence it off',
  'launches-twice': 'a launch is handed to the cluster a second time, under another id',
  'leaks-an-offer': 'an offer is now and then neither used nor declined',
  overcommits: 'a task is launched on more than was offered',
  'launches-first': 'a task is launched before it is written down',
  'forgets-commands': 'a command is removed before it is carried out',
  'no-seal': 'a new leader does not seal its epoch: what an earlier one creates counts',
  'no-take-over': 'a new leader does not raise the versions of what it has read',
  'spares-strangers': 'a task that nobody placed is left running',
  'gives-unaccepted': 'a share is given away before its outputs have been accepted',
  'keeps-what-it-gave': 'whoever gives a share goes on with it',
  'obeys-old-leaders': 'a runner obeys whoever speaks, and takes any generation',
  'never-asks-again': 'the cluster is asked for its tasks once after a connection, whatever it answers',
  'wall-clock': 'time is what the wall clock says, also when it is set',
  'comes-back-as-itself': 'an instance that has left starts again at the epoch at which it left',
  'hides-errors': 'an instance does not say what its canary has thrown at',
  'forgets-steps': 'the step of a canary is never written down',
} as const

export type Bug = keyof typeof bugs
