/** Line icons of 24 units, drawn for this page. They say nothing to screen readers. */
const paths = {
  plus: "M12 5v14M5 12h14",
  menu: "M4 7h16M4 12h16M4 17h10",
  close: "M6 6l12 12M18 6L6 18",
  send: "M12 19V5M5.5 11.5L12 5l6.5 6.5",
  stop: "M6.5 6.5h11v11h-11z",
  clip: "M8 12.5l6-6a3 3 0 0 1 4.3 4.3l-7.6 7.6a5 5 0 0 1-7-7L11 4",
  file: "M7 3h7l4 4v14H7zM14 3v4h4M10 12h5M10 16h5",
  edit: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  retry: "M19 12a7 7 0 1 1-2.2-5.1M19 4v4h-4",
  copy: "M9 9h10v11H9zM5 15V4h10",
  check: "M5 13l4 4L19 7",
  left: "M14 6l-6 6 6 6",
  right: "M10 6l6 6-6 6",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  upload: "M12 16V5M7 9l5-5 5 5M5 20h14",
  tune: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M5 19l1.4-1.4M17.6 6.4L19 5",
  moon: "M20 14.5A8 8 0 0 1 9.5 4 8 8 0 1 0 20 14.5z",
  auto: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
  key: "M14.5 9.5a4.5 4.5 0 1 0-4 4.5L12 15.5h2v2h2v2h3.5V16l-5-5z",
  book: "M12 6.5C10 5 7 4.5 3.5 4.5v13c3.5 0 6.5 0.5 8.5 2 2-1.5 5-2 8.5-2v-13c-3.5 0-6.5 0.5-8.5 2zM12 6.5v13",
  fork: "M6 4v16M6 16h5a5 5 0 0 0 5-5V5M12.5 8.5L16 5l3.5 3.5",
  shield: "M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6zM9 11.5l2.2 2.2L15.5 9.5",
  more: "M5 12a1 1 0 1 0 2 0a1 1 0 1 0-2 0M11 12a1 1 0 1 0 2 0a1 1 0 1 0-2 0M17 12a1 1 0 1 0 2 0a1 1 0 1 0-2 0",
  down: "M12 5v14M6 13l6 6 6-6",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}

/** The mark of the product: bars of a sound that goes on. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="9" />
      <path d="M8 18v-4M12 22V10M16 18v-4M20 24V8M24 18v-4" />
    </svg>
  );
}
