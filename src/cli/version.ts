/** The program's version, as `version` prints it and the begin line of the log shows it. */
export const VERSION = '0.1.0'
