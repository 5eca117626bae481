import { FormatError } from '../../common/errors.js';

/** A global that a pickle names; nothing of it is ever run. */
export interface PickleGlobal {
  global: string;
}

/** What a pickle asks to be called: recorded, and left to the reader to make sense of. */
export interface PickleCall {
  call: string;
  args: PickleValue[];
  /** Set by BUILD, for objects that carry a state. */
  state?: PickleValue;
  /** Set by SETITEM(S), for dictionaries of a class. */
  items?: Map<PickleValue, PickleValue>;
}

/** What BINPERSID refers to: storages, in PyTorch's files. */
export interface PicklePersistent {
  persistent: PickleValue;
}

export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | Map<PickleValue, PickleValue>
  | PickleGlobal
  | PickleCall
  | PicklePersistent;

/** State dicts need some ten thousand steps; more than this many are not worth the memory they may take. */
const MOST_STEPS = 2_000_000;
const MARK = Symbol('mark');
type Slot = PickleValue | typeof MARK;

/** Reads pickles as data: a stack machine of the opcodes that state dicts use, without a way to run anything. */
class Unpickler {
  #at: number;
  readonly #view: DataView;
  readonly #stack: Slot[] = [];
  readonly #memo = new Map<number, PickleValue>();
  #steps = 0;

  constructor(
    private readonly bytes: Uint8Array,
    start: number,
    private readonly allowed: (name: string) => boolean,
    private readonly name: string,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = start;
  }

  read(): { value: PickleValue; end: number } {
    for (;;) {
      const at = this.#at;
      const opcode = this.#take(1)[0];
      if (++this.#steps > MOST_STEPS) this.#fail(`more than ${MOST_STEPS} steps`);
      if (opcode === 0x2e) return { value: this.#pop(), end: this.#at }; // STOP
      this.#step(opcode, at);
    }
  }

  #step(opcode: number, at: number): void {
    switch (opcode) {
      case 0x80: // PROTO
        if (this.#take(1)[0] > 5) this.#fail(`protocol ${this.bytes[this.#at - 1]}; expected at most 5`);
        return;
      case 0x95: // FRAME: its length tells nothing that is needed
        this.#take(8);
        return;
      case 0x28:
        this.#push(MARK);
        return;
      case 0x30: // POP
        this.#stack.pop();
        return;
      case 0x31: // POP_MARK
        this.#toMark();
        return;
      case 0x32: // DUP
        this.#push(this.#top());
        return;
      case 0x4e:
        this.#push(null);
        return;
      case 0x88:
        this.#push(true);
        return;
      case 0x89:
        this.#push(false);
        return;
      case 0x4a: // BININT
        this.#push(this.#number(4, (offset) => this.#view.getInt32(offset, true)));
        return;
      case 0x4b: // BININT1
        this.#push(this.#take(1)[0]);
        return;
      case 0x4d: // BININT2
        this.#push(this.#number(2, (offset) => this.#view.getUint16(offset, true)));
        return;
      case 0x8a: // LONG1
        this.#push(this.#long(this.#take(1)[0]));
        return;
      case 0x8b: // LONG4
        this.#push(this.#long(this.#number(4, (offset) => this.#view.getUint32(offset, true))));
        return;
      case 0x47: // BINFLOAT, big-endian
        this.#push(this.#number(8, (offset) => this.#view.getFloat64(offset, false)));
        return;
      case 0x58: // BINUNICODE
        this.#push(this.#text(this.#number(4, (offset) => this.#view.getUint32(offset, true))));
        return;
      case 0x8d: // BINUNICODE8
        this.#push(this.#text(this.#length8()));
        return;
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        this.#push(this.#take(this.#length8()).slice());
        return;
      case 0x8c: // SHORT_BINUNICODE
        this.#push(this.#text(this.#take(1)[0]));
        return;
      case 0x54: // BINSTRING of Python 2
        this.#push(this.#text(this.#number(4, (offset) => this.#view.getUint32(offset, true))));
        return;
      case 0x42: // BINBYTES
        this.#push(this.#take(this.#number(4, (offset) => this.#view.getUint32(offset, true))).slice());
        return;
      case 0x55: // SHORT_BINSTRING
        this.#push(this.#text(this.#take(1)[0]));
        return;
      case 0x43: // SHORT_BINBYTES
        this.#push(this.#take(this.#take(1)[0]).slice());
        return;
      case 0x5d:
      case 0x8f: // EMPTY_SET: a set reads like a list
        this.#push([]);
        return;
      case 0x29:
        this.#push([]);
        return; // a tuple reads like a list
      case 0x7d:
        this.#push(new Map());
        return;
      case 0x6c: // LIST
      case 0x91: // FROZENSET
      case 0x74: // TUPLE
        this.#push(this.#toMark());
        return;
      case 0x64: // DICT
        this.#push(this.#pairs(this.#toMark()));
        return;
      case 0x85:
      case 0x86:
      case 0x87: {
        const count = opcode - 0x84;
        this.#push(Array.from({ length: count }, () => this.#pop()).reverse());
        return;
      }
      case 0x61: // APPEND
        this.#append([this.#pop()]);
        return;
      case 0x65: // APPENDS
      case 0x90: // ADDITEMS
        this.#append(this.#toMark());
        return;
      case 0x73: {
        // SETITEM
        const value = this.#pop();
        const key = this.#pop();
        this.#setItems([key, value]);
        return;
      }
      case 0x75: // SETITEMS
        this.#setItems(this.#toMark());
        return;
      case 0x71: // BINPUT
        this.#memo.set(this.#take(1)[0], this.#top());
        return;
      case 0x72: // LONG_BINPUT
        this.#memo.set(
          this.#number(4, (offset) => this.#view.getUint32(offset, true)),
          this.#top(),
        );
        return;
      case 0x94: // MEMOIZE
        this.#memo.set(this.#memo.size, this.#top());
        return;
      case 0x68:
        this.#push(this.#recall(this.#take(1)[0]));
        return;
      case 0x6a:
        this.#push(this.#recall(this.#number(4, (offset) => this.#view.getUint32(offset, true))));
        return;
      case 0x63: // GLOBAL
        this.#push(this.#global(`${this.#line()}.${this.#line()}`));
        return;
      case 0x93: {
        // STACK_GLOBAL
        const [attribute, module] = [this.#pop(), this.#pop()];
        if (typeof module !== 'string' || typeof attribute !== 'string') this.#fail('a global whose name is no text');
        this.#push(this.#global(`${module}.${attribute}`));
        return;
      }
      case 0x52: // REDUCE
      case 0x81: {
        // NEWOBJ
        const args = this.#pop();
        const callee = this.#pop();
        // What a call has made may be called again; of that nothing is needed.
        this.#push({ call: isGlobal(callee) ? callee.global : '', args: Array.isArray(args) ? args : [] });
        return;
      }
      case 0x92: {
        // NEWOBJ_EX
        const [, args, callee] = [this.#pop(), this.#pop(), this.#pop()];
        this.#push({ call: isGlobal(callee) ? callee.global : '', args: Array.isArray(args) ? args : [] });
        return;
      }
      case 0x62: {
        // BUILD
        const state = this.#pop();
        const object = this.#top();
        if (isCall(object)) object.state = state;
        return;
      }
      case 0x51: // BINPERSID
        this.#push({ persistent: this.#pop() });
        return;
      default:
        if (this.#textStep(opcode)) return;
        this.#fail(`opcode 0x${opcode.toString(16)} at byte ${at} is not one that state dicts need`);
    }
  }

  #fail(why: string): never {
    throw new FormatError(`${this.name}: not a pickle of a state dict: ${why}`);
  }

  #push(value: Slot): void {
    this.#stack.push(value);
  }

  #pop(): PickleValue {
    const value = this.#stack.pop();
    if (value === undefined || value === MARK) return this.#fail('its stack is empty where a value is needed');
    return value;
  }

  #top(): PickleValue {
    const value = this.#stack[this.#stack.length - 1];
    if (value === undefined || value === MARK) return this.#fail('its stack is empty where a value is needed');
    return value;
  }

  #toMark(): PickleValue[] {
    const at = this.#stack.lastIndexOf(MARK);
    if (at < 0) return this.#fail('a mark is missing');
    return this.#stack.splice(at).slice(1) as PickleValue[];
  }

  #append(values: readonly PickleValue[]): void {
    const list = this.#top();
    // What a class of its own, such as a deque, gets is not needed.
    if (Array.isArray(list)) for (const value of values) list.push(value);
    else if (!isCall(list)) this.#fail('it appends to what is no list');
  }

  /** The opcodes of protocol 0, whose operands are lines of text; false for any other. */
  #textStep(opcode: number): boolean {
    switch (opcode) {
      case 0x49: {
        // INT; 00 and 01 are false and true
        const line = this.#line();
        this.#push(line === '00' || line === '01' ? line === '01' : Number(line));
        return true;
      }
      case 0x4c: // LONG
      case 0x46: // FLOAT
        this.#push(Number(this.#line().replace(/L$/, '')));
        return true;
      case 0x53: // STRING
        this.#push(this.#line().slice(1, -1));
        return true;
      case 0x56: // UNICODE
        this.#push(this.#line());
        return true;
      case 0x70: // PUT
        this.#memo.set(Number(this.#line()), this.#top());
        return true;
      case 0x67: // GET
        this.#push(this.#recall(Number(this.#line())));
        return true;
      default:
        return false;
    }
  }

  #length8(): number {
    return Number(this.#number(8, (offset) => this.#view.getBigUint64(offset, true)));
  }

  #pairs(values: readonly PickleValue[]): Map<PickleValue, PickleValue> {
    if (values.length % 2 !== 0) this.#fail('a key without value');
    const map = new Map<PickleValue, PickleValue>();
    for (let k = 0; k < values.length; k += 2) map.set(values[k], values[k + 1]);
    return map;
  }

  #setItems(values: readonly PickleValue[]): void {
    const target = this.#top();
    let map: Map<PickleValue, PickleValue> | undefined;
    if (target instanceof Map) map = target;
    else if (isCall(target)) map = target.items ??= new Map();
    if (!map) this.#fail('it sets items of what is no dictionary');
    for (const [key, value] of this.#pairs(values)) map.set(key, value);
  }

  #recall(index: number): PickleValue {
    const value = this.#memo.get(index);
    return value === undefined ? this.#fail(`it recalls value ${index}, which it never kept`) : value;
  }

  #global(name: string): PickleGlobal {
    if (!this.allowed(name)) this.#fail(`it names ${printable(name)}, which no state dict needs; nothing was run`);
    return { global: name };
  }

  #take(count: number): Uint8Array {
    if (this.#at + count > this.bytes.length) this.#fail(`it ends at byte ${this.bytes.length}, in the middle`);
    this.#at += count;
    return this.bytes.subarray(this.#at - count, this.#at);
  }

  #number<T>(size: number, get: (offset: number) => T): T {
    this.#take(size);
    return get(this.#at - size);
  }

  #text(length: number): string {
    return new TextDecoder().decode(this.#take(length));
  }

  #long(length: number): PickleValue {
    let value = 0n;
    this.#take(length).forEach((byte, k) => {
      value |= BigInt(byte) << BigInt(8 * k);
    });
    value = length > 0 ? BigInt.asIntN(8 * length, value) : 0n;
    const small = Number(value);
    return Number.isSafeInteger(small) ? small : value;
  }

  #line(): string {
    const end = this.bytes.indexOf(0x0a, this.#at);
    if (end < 0) return this.#fail('a line has no end');
    const text = this.#text(end - this.#at);
    this.#at = end + 1;
    return text;
  }
}

/** A name from a file as an error may show it: short, and without control characters. */
export const printable = (name: string): string => {
  const shown = name.replace(/[^\x20-\x7e]/g, '?');
  return shown.length > 80 ? `${shown.slice(0, 80)}…` : shown;
};

export const isGlobal = (value: PickleValue | undefined): value is PickleGlobal =>
  typeof value === 'object' && value !== null && 'global' in value;

export const isCall = (value: PickleValue | undefined): value is PickleCall =>
  typeof value === 'object' && value !== null && 'call' in value;

export const isPersistent = (value: PickleValue | undefined): value is PicklePersistent =>
  typeof value === 'object' && value !== null && 'persistent' in value;

/**
 * Reads one pickle as plain data, from byte `start` on. Nothing is executed: calls are returned as such, and a global that
 * is not allowed ends the reading.
 * @returns the value, and the byte after the pickle
 * @throws FormatError
 */
export function readPickle(
  bytes: Uint8Array,
  allowed: (name: string) => boolean,
  name = 'the pickle',
  start = 0,
): { value: PickleValue; end: number } {
  return new Unpickler(bytes, start, allowed, name).read();
}
