/** Which rows of the table a host has, and what is said of it there. */
import type { Behaviour, Exception, HostFacts } from './behaviour';
import { behaviours } from './table';

export function behavioursOf(host: HostFacts): readonly Behaviour[] {
  return behaviours.filter(({ only }) => only === undefined || only(host));
}

export function exceptionOf(behaviour: Behaviour, host: HostFacts): Exception | undefined {
  return behaviour.exceptions?.find(({ hosts }) => hosts.test(host.name));
}
