import katex from "katex";

/**
 * Draws TeX into an element as MathML, which browsers lay out without styles or fonts of ours.
 * What is no TeX stays as it was written.
 */
export function renderMath(tex: string, into: HTMLElement, displayMode: boolean): void {
  katex.render(tex, into, { displayMode, output: "mathml", throwOnError: false, trust: false, strict: false, maxExpand: 200 });
}
