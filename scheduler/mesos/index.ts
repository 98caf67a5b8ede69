/** The front door of the Mesos driver. */
export { MesosEngine, type MesosOptions } from './driver.ts'
