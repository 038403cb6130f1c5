import { findContext, obstacle } from "../store/contexts";
import { count } from "../format";
import { useAppState, useContexts, useController } from "./hooks";

interface Idea {
  readonly title: string;
  readonly text: string;
}

const ideas: readonly Idea[] = [
  { title: "Tell a story", text: "Tell me a story about a dog who learns to sail." },
  { title: "Explain", text: "Explain how a rainbow is made." },
  { title: "Make a list", text: "Make a list of things to take to the beach." },
];

const ideasAboutAText: typeof ideas = [
  { title: "Sum up", text: "Sum up the text in a few sentences." },
  { title: "Who and what", text: "Who appears in the text, and what do they want?" },
  { title: "Key points", text: "List the most important points of the text." },
];

/** A conversation that has not begun. */
export function Welcome() {
  const { draftContext } = useAppState();
  return draftContext === null ? (
    <div class="welcome">
      <h2>What shall we read today?</h2>
      <p>Ask a question, or drop in a whole book. What was read once is not read again.</p>
      <Ideas ideas={ideas} />
    </div>
  ) : (
    <WelcomeToContext name={draftContext} />
  );
}

function WelcomeToContext({ name }: { name: string }) {
  const entry = findContext(useContexts(), name);
  return (
    <div class="welcome">
      <h2>Ask about {name}</h2>
      <p>{entry && entry.problem === "" && entry.complete ? `${count(entry.tokens)} tokens are read already: answers begin at once.` : "What was read once is not read again."}</p>
      <Ideas ideas={ideasAboutAText} />
    </div>
  );
}

function Ideas({ ideas }: { ideas: readonly Idea[] }) {
  const controller = useController();
  const { server, draftContext } = useAppState();
  const contexts = useContexts();
  const can = server && (draftContext === null || obstacle(draftContext, contexts, server.contextLength) === "");
  return (
    <div class="ideas">
      {ideas.map((idea) => (
        <button key={idea.title} type="button" disabled={!can} onClick={() => void controller.submit(idea.text, [])}>
          <strong>{idea.title}</strong>
          <span>{idea.text}</span>
        </button>
      ))}
    </div>
  );
}
