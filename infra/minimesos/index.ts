export { endTasks } from './end-tasks.ts'
export { type Minimesos, type MinimesosOptions, startMinimesos } from './minimesos.ts'
