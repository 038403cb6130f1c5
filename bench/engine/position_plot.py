"""Times per token over the position, as SVG by hand and, where rsvg-convert is installed, PNG."""

import math
import shutil
import subprocess


def round_step(least):
    """The least of 1, 2 or 5 times a power of ten that is not below `least`."""
    power = 10 ** math.floor(math.log10(least))
    return next(int(m * power) for m in (1, 2, 5, 10) if m * power >= least)


def draw(lines, last, highest, path):
    """lines: (label, colour, [(position, microseconds)]); the axes reach `last` and `highest`."""
    step_x = round_step(last / 6)
    step_y = round_step(1.1 * highest / 5)
    right, top = max(last, 5 * step_x), 5 * step_y
    width, height, left, bottom = 800, 420, 90, 50

    def place(x, y):
        return left + (width - left - 45) * x / right, height - bottom - (height - bottom - 20) * y / top

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
             'font-family="sans-serif" font-size="13">',
             f'<rect width="{width}" height="{height}" fill="white"/>']
    for i in range(6):
        x, y = place(step_x * i, step_y * i)
        zero_x, zero_y = place(0, 0)
        parts.append(f'<path d="M{zero_x} {y}H{width - 45}" stroke="#ddd"/>'
                     f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{step_y * i:,}</text>'
                     f'<text x="{x}" y="{zero_y + 20}" text-anchor="middle">{step_x * i:,}</text>')
    for i, (label, color, steps) in enumerate(lines):
        line = "L".join(f"{x:.1f} {y:.1f}" for x, y in (place(x, min(y, top)) for x, y in steps))
        parts.append(f'<path d="M{line}" fill="none" stroke="{color}" stroke-width="2"/>'
                     f'<text x="{left + 12}" y="{36 + 18 * i}" fill="{color}">{label}</text>')
    parts.append(f'<text x="{width / 2}" y="{height - 8}" text-anchor="middle">position, tokens</text>'
                 f'<text x="16" y="{height / 2}" text-anchor="middle" '
                 f'transform="rotate(-90 16 {height / 2})">prefill, µs per token</text></svg>')
    path.write_text("\n".join(parts) + "\n")
    if shutil.which("rsvg-convert"):
        subprocess.run(["rsvg-convert", "-o", str(path.with_suffix(".png")), str(path)], check=True)
