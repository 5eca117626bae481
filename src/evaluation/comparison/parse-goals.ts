import { ArgumentError } from '../../common/errors.js';

/** A target figure, as in a file of goals; `parseGoals` reads one. */
export type GoalSpec = {
  /** What the report calls it. */
  what: string;
} & (
  | {
      /** Accuracy beside other codecs at the same bytes: each of them at each of the budgets. */
      kind: 'accuracy';
      codecs: readonly string[];
      /** Bytes a face. */
      budgets: readonly number[];
      /** Higher by a difference that McNemar's test finds with p < 0.01, or merely not lower. */
      wanted: 'higher' | 'no lower';
    }
  /** Points of accuracy that may be lost at a budget against the uncompressed pictures. */
  | { kind: 'lost'; budget: number; points: number }
  /** Share of the bytes of another codec at a budget that may be left out at the same accuracy. */
  | { kind: 'bytes'; codec: string; budget: number; fewer: number }
  /** Share of bytes that our container is to save against a PNG of the same symbols. */
  | { kind: 'container'; fewer: number }
  /** Higher TAR at FAR 1e-3 than another model of Cameo, by View 2's pairs, p < 0.01. */
  | { kind: 'tar'; model: string }
  /** Seconds in which one face is to be encoded and decoded, warm. */
  | { kind: 'seconds'; seconds: number }
);

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string' && value.trim() !== '';
const isPositive: Check = (value) => typeof value === 'number' && Number.isFinite(value) && value > 0;
const isBytes: Check = (value) => Number.isSafeInteger(value) && (value as number) > 0;
const isShare: Check = (value) => isPositive(value) && (value as number) < 1;
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.length > 0 && value.every(check);

/** Fields of each kind of goal in addition to `what` and `kind`, and how a message describes them. */
const FIELDS: { readonly [K in GoalSpec['kind']]: Record<string, [check: Check, expected: string]> } = {
  accuracy: {
    codecs: [listOf(isText), 'a list of names of codecs'],
    budgets: [listOf(isBytes), 'a list of bytes a face'],
    wanted: [(value) => value === 'higher' || value === 'no lower', '"higher" or "no lower"'],
  },
  lost: { budget: [isBytes, 'bytes a face'], points: [isPositive, 'points above 0'] },
  bytes: {
    codec: [isText, 'the name of a codec'],
    budget: [isBytes, 'bytes a face'],
    fewer: [isShare, 'a share between 0 and 1'],
  },
  container: { fewer: [isShare, 'a share between 0 and 1'] },
  tar: { model: [isText, 'a name that --extra-models gives'] },
  seconds: { seconds: [isPositive, 'seconds above 0'] },
};

/**
 * Checks what a JSON file of goals holds: a list of objects, as `GoalSpec` describes them.
 * @param name what errors call the file
 * @throws ArgumentError that names the goal, the field, its value and what was expected
 */
export function parseGoals(list: unknown, name: string): GoalSpec[] {
  if (!Array.isArray(list)) throw new ArgumentError(`${name}: expected a list of goals`);
  return list.map((goal, k) => checkGoal(goal, `${name}, goal ${k + 1}`));
}

function checkGoal(goal: unknown, where: string): GoalSpec {
  if (typeof goal !== 'object' || goal === null) throw new ArgumentError(`${where}: expected an object`);
  const { what, kind, ...rest } = goal as Record<string, unknown>;
  const fail = (field: string, value: unknown, expected: string): never => {
    throw new ArgumentError(`${where}: ${field} is ${JSON.stringify(value) ?? 'missing'}; expected ${expected}`);
  };
  if (!isText(what)) fail('what', what, 'a text');
  if (!Object.hasOwn(FIELDS, kind as string)) fail('kind', kind, Object.keys(FIELDS).join(', '));
  const fields = FIELDS[kind as GoalSpec['kind']];
  for (const [field, [check, expected]] of Object.entries(fields)) {
    if (!check(rest[field])) fail(field, rest[field], expected);
  }
  const odd = Object.keys(rest).find((field) => !(field in fields));
  if (odd !== undefined) throw new ArgumentError(`${where}: there is no field "${odd}" in a goal of kind "${kind}"`);
  return goal as GoalSpec;
}
