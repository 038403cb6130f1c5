import { readdirSync, readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";

const folder = new URL("schemas/", import.meta.url);
const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true, strictTypes: true });
for (const file of readdirSync(folder)) {
  ajv.addSchema(JSON.parse(readFileSync(new URL(file, folder), "utf8")) as object);
}

/** What is wrong with `value` as schemas/NAME.json has it, or nothing. */
export function findProblem(name: string, value: unknown): string | undefined {
  const validate = ajv.getSchema(`${name}.json`);
  if (!validate) throw new Error(`no schema ${name}`);
  if (validate(value)) return undefined;
  const what = ajv.errorsText(validate.errors, { dataVar: name });
  return `${what}\nin ${JSON.stringify(value)}`;
}
