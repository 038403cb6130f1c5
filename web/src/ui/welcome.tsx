import { useAppState, useController } from "./hooks";

const ideas: readonly { title: string; text: string }[] = [
  { title: "Tell a story", text: "Tell me a story about a dog who learns to sail." },
  { title: "Explain", text: "Explain how a rainbow is made." },
  { title: "Make a list", text: "Make a list of things to take to the beach." },
];

/** A conversation that has not begun. */
export function Welcome() {
  const controller = useController();
  const { server } = useAppState();
  return (
    <div class="welcome">
      <h2>What shall we read today?</h2>
      <p>Ask a question, or drop in a whole book. What was read once is not read again.</p>
      <div class="ideas">
        {ideas.map((idea) => (
          <button key={idea.title} type="button" disabled={!server} onClick={() => void controller.submit(idea.text, [])}>
            <strong>{idea.title}</strong>
            <span>{idea.text}</span>
          </button>
        ))}
      </div>
    </div>
  );
}
