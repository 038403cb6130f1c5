import { expect, test } from "vitest";
import { defaultSettings, loadSettings, saveSettings } from "../../src/store/settings";

const holding = (text: string | null) => ({ getItem: () => text });

test("come back as they were saved", () => {
  let saved = "";
  const settings = { theme: "dark", key: "k", sampling: { temperature: 0.5, seed: 0 } } as const;
  saveSettings({ setItem: (_, text) => (saved = text) }, settings);
  expect(loadSettings(holding(saved))).toEqual(settings);
});

test.each([null, "", "{", "null", "[]", '{"theme":"red","key":1,"sampling":{"temperature":"hot","other":1}}'])("are the defaults for %j", (text) => {
  expect(loadSettings(holding(text))).toEqual(defaultSettings);
});

test("a browser that refuses to keep them is no error", () => {
  const full = () => {
    throw new Error("full");
  };
  expect(() => saveSettings({ setItem: full }, defaultSettings)).not.toThrow();
});
