/**
 * Lays a patch over an object of Kubernetes: objects are merged, lists of named things (containers, volumes, environment
 * variables; mounts by their path) by name, other lists and values replaced; null takes a field out. Pure.
 */
export type Mergeable = { [key: string]: unknown };

const isObject = (value: unknown): value is Mergeable =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What tells the items of a list apart; undefined where nothing does. */
function keyOf(list: readonly unknown[]): string | undefined {
  if (list.length === 0 || !list.every(isObject)) return undefined;
  return ['mountPath', 'name'].find((key) => list.every((item) => typeof (item as Mergeable)[key] === 'string'));
}

function mergeLists(base: readonly unknown[], patch: readonly unknown[]): unknown[] {
  const key = keyOf([...base, ...patch]);
  if (key === undefined) return [...patch];
  const items = new Map((base as Mergeable[]).map((item) => [item[key], item]));
  for (const item of patch as Mergeable[]) {
    const old = items.get(item[key]);
    items.set(item[key], old === undefined ? item : merge(old, item));
  }
  return [...items.values()];
}

export function merge(base: Mergeable, patch: Mergeable): Mergeable {
  const merged: Mergeable = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    const old = merged[key];
    if (value === null) delete merged[key];
    else if (isObject(old) && isObject(value)) merged[key] = merge(old, value);
    else if (Array.isArray(old) && Array.isArray(value)) merged[key] = mergeLists(old, value);
    else merged[key] = value;
  }
  return merged;
}

/** A list of named things in which the last of one name counts. */
export function byName<T extends { name?: string }>(items: readonly T[]): T[] {
  return [...new Map(items.map((item) => [item.name, item])).values()];
}
