import { FormatError } from '../../common/errors.js';

/** A global that a pickle names; it is never run. */
export interface PickleGlobal {
  global: string;
}

/** A call that a pickle asks for. It is recorded and not made; the reader interprets it. */
export interface PickleCall {
  call: string;
  args: PickleValue[];
  /** Set by BUILD, for objects that carry a state. */
  state?: PickleValue;
  /** Set by SETITEM(S), for dictionaries of a class. */
  items?: Map<PickleValue, PickleValue>;
}

/** What BINPERSID refers to; in PyTorch's files, storages. */
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

/** State dicts need some ten thousand steps; more than this may take too much memory. */
const MAX_STEPS = 2_000_000;
const MARK = Symbol('mark');
type Slot = PickleValue | typeof MARK;

/** Reads pickles as data: a stack machine of the opcodes that state dicts use, which cannot run anything. */
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
      const opcode = this.uint8();
      if (++this.#steps > MAX_STEPS) this.fail(`more than ${MAX_STEPS} steps`);
      if (opcode === 0x2e) return { value: this.pop(), end: this.#at }; // STOP
      const step = STEPS[opcode];
      if (!step) this.fail(`opcode 0x${opcode.toString(16)} at byte ${at} is not one that state dicts need`);
      step(this);
    }
  }

  fail(why: string): never {
    throw new FormatError(`${this.name}: not a pickle of a state dict: ${why}`);
  }

  push(value: Slot): void {
    this.#stack.push(value);
  }

  /** Takes off what is on top, a mark too. */
  drop(): void {
    this.#stack.pop();
  }

  /** The result of a call may be called again; nothing of that is needed. */
  call([callee, args]: readonly PickleValue[]): void {
    this.push({ call: isGlobal(callee) ? callee.global : '', args: Array.isArray(args) ? args : [] });
  }

  pop(): PickleValue {
    const value = this.#stack.pop();
    if (value === undefined || value === MARK) return this.fail('its stack is empty where a value is needed');
    return value;
  }

  /** The last values, in the order in which they were pushed. */
  popMany(count: number): PickleValue[] {
    return Array.from({ length: count }, () => this.pop()).reverse();
  }

  top(): PickleValue {
    const value = this.#stack[this.#stack.length - 1];
    if (value === undefined || value === MARK) return this.fail('its stack is empty where a value is needed');
    return value;
  }

  toMark(): PickleValue[] {
    const at = this.#stack.lastIndexOf(MARK);
    if (at < 0) return this.fail('a mark is missing');
    return this.#stack.splice(at).slice(1) as PickleValue[];
  }

  append(values: readonly PickleValue[]): void {
    const list = this.top();
    // Items of other classes, such as a deque, are not needed.
    if (Array.isArray(list)) for (const value of values) list.push(value);
    else if (!isCall(list)) this.fail('it appends to a value that is not a list');
  }

  pairs(values: readonly PickleValue[]): Map<PickleValue, PickleValue> {
    if (values.length % 2 !== 0) this.fail('a key without value');
    const map = new Map<PickleValue, PickleValue>();
    for (let k = 0; k < values.length; k += 2) map.set(values[k], values[k + 1]);
    return map;
  }

  setItems(values: readonly PickleValue[]): void {
    const target = this.top();
    let map: Map<PickleValue, PickleValue> | undefined;
    if (target instanceof Map) map = target;
    else if (isCall(target)) map = target.items ??= new Map();
    if (!map) this.fail('it sets items of a value that is not a dictionary');
    for (const [key, value] of this.pairs(values)) map.set(key, value);
  }

  /** Keeps the value on top of the stack. */
  keep(index = this.#memo.size): void {
    this.#memo.set(index, this.top());
  }

  recall(index: number): PickleValue {
    const value = this.#memo.get(index);
    return value === undefined ? this.fail(`it recalls value ${index}, which it never kept`) : value;
  }

  global(name: string): PickleGlobal {
    if (!this.allowed(name)) this.fail(`it names ${printable(name)}, which no state dict needs; nothing was run`);
    return { global: name };
  }

  take(count: number): Uint8Array {
    if (this.#at + count > this.bytes.length) this.fail(`it ends at byte ${this.bytes.length}, in the middle`);
    this.#at += count;
    return this.bytes.subarray(this.#at - count, this.#at);
  }

  /** The operand of so many bytes that comes next. */
  #operand<T>(size: number, get: (offset: number) => T): T {
    this.take(size);
    return get(this.#at - size);
  }

  readonly uint8 = (): number => this.take(1)[0];
  readonly uint16 = (): number => this.#operand(2, (offset) => this.#view.getUint16(offset, true));
  readonly uint32 = (): number => this.#operand(4, (offset) => this.#view.getUint32(offset, true));
  readonly int32 = (): number => this.#operand(4, (offset) => this.#view.getInt32(offset, true));
  readonly uint64 = (): number => Number(this.#operand(8, (offset) => this.#view.getBigUint64(offset, true)));
  /** Big-endian, unlike all others. */
  readonly float64 = (): number => this.#operand(8, (offset) => this.#view.getFloat64(offset, false));

  text(length: number): string {
    return new TextDecoder().decode(this.take(length));
  }

  long(length: number): PickleValue {
    let value = 0n;
    this.take(length).forEach((byte, k) => {
      value |= BigInt(byte) << BigInt(8 * k);
    });
    value = length > 0 ? BigInt.asIntN(8 * length, value) : 0n;
    const small = Number(value);
    return Number.isSafeInteger(small) ? small : value;
  }

  line(): string {
    const end = this.bytes.indexOf(0x0a, this.#at);
    if (end < 0) return this.fail('a line has no end');
    const text = this.text(end - this.#at);
    this.#at = end + 1;
    return text;
  }
}

/** What each opcode does. Sets and tuples read like lists. */
const STEPS: Readonly<Record<number, (machine: Unpickler) => void>> = {
  /* PROTO */ 128: (m) => {
    const protocol = m.uint8();
    if (protocol > 5) m.fail(`protocol ${protocol}; expected at most 5`);
  },
  /* FRAME, whose length tells nothing that is needed */ 149: (m) => void m.take(8),
  /* MARK */ 40: (m) => m.push(MARK),
  /* POP */ 48: (m) => m.drop(),
  /* POP_MARK */ 49: (m) => void m.toMark(),
  /* DUP */ 50: (m) => m.push(m.top()),

  /* NONE */ 78: (m) => m.push(null),
  /* NEWTRUE */ 136: (m) => m.push(true),
  /* NEWFALSE */ 137: (m) => m.push(false),
  /* BININT */ 74: (m) => m.push(m.int32()),
  /* BININT1 */ 75: (m) => m.push(m.uint8()),
  /* BININT2 */ 77: (m) => m.push(m.uint16()),
  /* LONG1 */ 138: (m) => m.push(m.long(m.uint8())),
  /* LONG4 */ 139: (m) => m.push(m.long(m.uint32())),
  /* BINFLOAT */ 71: (m) => m.push(m.float64()),

  /* BINUNICODE */ 88: (m) => m.push(m.text(m.uint32())),
  /* BINUNICODE8 */ 141: (m) => m.push(m.text(m.uint64())),
  /* SHORT_BINUNICODE */ 140: (m) => m.push(m.text(m.uint8())),
  /* BINSTRING */ 84: (m) => m.push(m.text(m.uint32())),
  /* SHORT_BINSTRING */ 85: (m) => m.push(m.text(m.uint8())),
  /* BINBYTES */ 66: (m) => m.push(m.take(m.uint32()).slice()),
  /* BINBYTES8 */ 142: (m) => m.push(m.take(m.uint64()).slice()),
  /* BYTEARRAY8 */ 150: (m) => m.push(m.take(m.uint64()).slice()),
  /* SHORT_BINBYTES */ 67: (m) => m.push(m.take(m.uint8()).slice()),

  /* EMPTY_LIST */ 93: (m) => m.push([]),
  /* EMPTY_SET */ 143: (m) => m.push([]),
  /* EMPTY_TUPLE */ 41: (m) => m.push([]),
  /* EMPTY_DICT */ 125: (m) => m.push(new Map()),
  /* LIST */ 108: (m) => m.push(m.toMark()),
  /* FROZENSET */ 145: (m) => m.push(m.toMark()),
  /* TUPLE */ 116: (m) => m.push(m.toMark()),
  /* DICT */ 100: (m) => m.push(m.pairs(m.toMark())),
  /* TUPLE1 */ 133: (m) => m.push(m.popMany(1)),
  /* TUPLE2 */ 134: (m) => m.push(m.popMany(2)),
  /* TUPLE3 */ 135: (m) => m.push(m.popMany(3)),
  /* APPEND */ 97: (m) => m.append(m.popMany(1)),
  /* APPENDS */ 101: (m) => m.append(m.toMark()),
  /* ADDITEMS */ 144: (m) => m.append(m.toMark()),
  /* SETITEM */ 115: (m) => m.setItems(m.popMany(2)),
  /* SETITEMS */ 117: (m) => m.setItems(m.toMark()),

  /* BINPUT */ 113: (m) => m.keep(m.uint8()),
  /* LONG_BINPUT */ 114: (m) => m.keep(m.uint32()),
  /* MEMOIZE */ 148: (m) => m.keep(),
  /* BINGET */ 104: (m) => m.push(m.recall(m.uint8())),
  /* LONG_BINGET */ 106: (m) => m.push(m.recall(m.uint32())),

  /* GLOBAL */ 99: (m) => m.push(m.global(`${m.line()}.${m.line()}`)),
  /* STACK_GLOBAL */ 147: (m) => {
    const [module, attribute] = m.popMany(2);
    if (typeof module !== 'string' || typeof attribute !== 'string') m.fail('a global whose name is not a text');
    m.push(m.global(`${module}.${attribute}`));
  },
  /* REDUCE */ 82: (m) => m.call(m.popMany(2)),
  /* NEWOBJ */ 129: (m) => m.call(m.popMany(2)),
  /* NEWOBJ_EX, with named arguments, which are not needed */ 146: (m) => m.call(m.popMany(3)),
  /* BUILD */ 98: (m) => {
    const state = m.pop();
    const object = m.top();
    if (isCall(object)) object.state = state;
  },
  /* BINPERSID */ 81: (m) => m.push({ persistent: m.pop() }),

  // Protocol 0, whose operands are lines of text.
  /* INT; 00 and 01 are false and true */ 73: (m) => {
    const line = m.line();
    m.push(line === '00' || line === '01' ? line === '01' : Number(line));
  },
  /* LONG */ 76: (m) => m.push(Number(m.line().replace(/L$/, ''))),
  /* FLOAT */ 70: (m) => m.push(Number(m.line().replace(/L$/, ''))),
  /* STRING */ 83: (m) => m.push(m.line().slice(1, -1)),
  /* UNICODE */ 86: (m) => m.push(m.line()),
  /* PUT */ 112: (m) => m.keep(Number(m.line())),
  /* GET */ 103: (m) => m.push(m.recall(Number(m.line()))),
};

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
 * Reads one pickle as plain data, from byte `start` on. Nothing is executed: calls are returned as data, and a global that is not
 * allowed ends the reading.
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
