/**
 * A binary heap whose items know their place in it, so that an item that has changed is put right, or taken out, in
 * logarithmic time. An item is in one heap at a time.
 */

export interface HeapItem {
  /** Position in the heap; -1 outside. Belongs to the heap. */
  heapPlace: number;
}

export class Heap<T extends HeapItem> {
  readonly #items: T[] = [];
  readonly #before: (a: T, b: T) => boolean;

  /** `before`: true where `a` is to come out before `b`. */
  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  get first(): T | undefined {
    return this.#items[0];
  }

  /** Adds the item, or puts it where it belongs after a change. */
  put(item: T): void {
    if (item.heapPlace < 0) {
      item.heapPlace = this.#items.length;
      this.#items.push(item);
    }
    this.#settle(item);
  }

  /** Takes the item out; nothing happens where it is not in. */
  delete(item: T): void {
    const place = item.heapPlace;
    if (place < 0) return;
    item.heapPlace = -1;
    const last = this.#items.pop()!;
    if (last === item) return;
    last.heapPlace = place;
    this.#items[place] = last;
    this.#settle(last);
  }

  #settle(item: T): void {
    const items = this.#items;
    let place = item.heapPlace;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = items[above]!;
      if (!this.#before(item, parent)) break;
      parent.heapPlace = place;
      items[place] = parent;
      place = above;
    }
    for (let below = 2 * place + 1; below < items.length; below = 2 * place + 1) {
      if (below + 1 < items.length && this.#before(items[below + 1]!, items[below]!)) below++;
      const child = items[below]!;
      if (!this.#before(child, item)) break;
      child.heapPlace = place;
      items[place] = child;
      place = below;
    }
    item.heapPlace = place;
    items[place] = item;
  }
}
