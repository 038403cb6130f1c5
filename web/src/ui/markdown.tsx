import createDOMPurify from "dompurify";
import type { Token } from "marked";
import { Component } from "preact";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { decorate } from "../decorate";
import { markdownBlocks, renderBlock } from "../markdown";

const purify = createDOMPurify(window);

/** An answer. Text that streams in draws its last block anew and leaves the others alone. */
export function Markdown({ text }: { text: string }) {
  const blocks = useMemo(() => markdownBlocks(text), [text]);
  return (
    <div class="prose">
      {blocks.map((block, index) => (block.type === "space" ? null : <Block key={index} block={block} />))}
    </div>
  );
}

class Block extends Component<{ block: Token }> {
  override shouldComponentUpdate(next: { block: Token }): boolean {
    return next.block.raw !== this.props.block.raw;
  }
  override render({ block }: { block: Token }) {
    return <Html html={renderBlock(block, purify)} />;
  }
}

/** Written by hand: the element's content is changed after it was set, behind preact's back. */
function Html({ html }: { html: string }) {
  const ref = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (!ref.current) return;
    ref.current.innerHTML = html;
    decorate(ref.current);
  }, [html]);
  return <div ref={ref} />;
}
