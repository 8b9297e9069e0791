#!/usr/bin/env node
/**
 * kubectl-postfleet: what kubectl runs for `kubectl postfleet …`. It is its own program, so that nothing of the mail system is
 * loaded where only the cluster is asked.
 */
import { main } from '../cli/kubectl-postfleet/main.ts';

const { stdin, stdout, stderr } = process;
process.exitCode = await main(process.argv.slice(2), { stdin, stdout, stderr });
// An open connection to the API server or standard input must not keep it.
stdin.destroy();
